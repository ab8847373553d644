"""English words that say little or the same, for comparing two tasks.

What is not listed counts as a difference, so a missing entry removes no row: it stays, or the
model is asked.
"""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


def _groups(text: str) -> list[list[str]]:
    return [group.split() for group in text.split(",")]


# Words that carry no requirement of their own: grammar, courtesy, and the frame of a request.
LIGHT = frozenset(
    _words("""
    a an the this that these those it its they them their there he him his she her i me my mine
    we us our you your yours one ones is are was were be been being am do does did done has have
    had having will would shall should can could may might must need needs s t re ll ve d m of
    to for with by and as in on at into from about so such also too then than just only well
    which whom whose what how if whether while please kindly thanks thank help hello hi dear
    want wants wish wishes wished like likes able possible ask asked asks task question problem
    request answer look back out up given give following follow below above provided supplied
    here way manner means purpose order make makes sure using use uses used utilize utilise some
    certain specific specified particular input inputs argument parameter let show tell know
    much many amount 的 了 吗 呢 请 把 个 这 那 是 在 和 与 一 您 你 我 们
""")
)

# Words that negate what they stand with.
NEGATIONS = frozenset(
    _words("not no never without except excluding neither nor none cannot 不 没 无 未")
)

# Words that say how many or which: one that is added changes what is asked.
QUANTITIES = frozenset(
    _words("""
    all any another both double dozen each either every few fewer fifth first fourth half last
    least less more most once only other quarter score second several single some third thrice
    triple twice whole
""")
)

# Those of them that also compare: "the most recent" and "the latest" say the same.
DEGREES = frozenset(_words("least less more most"))

# Words that may stand for one another in a request; some are in several groups.
SYNONYMS = tuple(
    frozenset(group)
    for group in _groups("""
    write create make develop implement build design construct generate produce compose devise
    craft code draft program form prepare author come implementation, find determine identify
    locate discover detect search seek recognise recognize spot point, find determine calculate
    compute evaluate work figure count derive solve calculation, calculate estimate measure,
    explain describe clarify outline discuss elaborate explanation description illustrate
    interpret, get retrieve fetch obtain extract acquire receive read collect take accept, list
    enumerate name mention cite, convert transform change turn translate port rewrite conversion
    translation transformation, modify change edit alter adjust adapt update revise amend,
    remove delete eliminate drop strip discard omit exclude, check verify test determine
    validate examine confirm see, show display present print output exhibit, return output give
    yield produce provide supply offer, suggest propose recommend advise, rewrite rephrase
    reword paraphrase, summarize summarise sum summary summarization, sort order arrange rank,
    combine merge join concatenate unite, split divide separate partition, fix correct repair
    debug resolve, improve optimize optimise enhance refine, compare contrast comparison, choose
    select pick decide, function method routine procedure subroutine, program script application
    app code software snippet piece, code function snippet, array list collection sequence,
    dictionary map hashmap, string text, integer int number numeral digit, value element item
    entry, number quantity count, sentence phrase, error mistake bug issue fault, largest
    biggest greatest maximum max highest, smallest tiniest minimum min lowest least, large big
    huge great, small little tiny, quick fast rapid speedy, begin start commence initiate, end
    finish stop complete conclude, buy purchase purchased, need require, kid child children,
    remaining left remain, total altogether overall sum, each every per apiece, current present
    now currently presently, latest recent newest, information info detail fact data knowledge,
    contain include hold comprise have, same identical equal, correct right accurate proper,
    additional extra further more, efficient effective efficiently, whole entire complete full,
    average mean, occurrence appearance instance, example instance sample, various several
    multiple many different, story tale narrative, job profession occupation, hand give pass,
    receive get, person people individual human, picture image photo, movie film, car
    automobile, couple two, reverse invert backwards, duplicate repeated, distinct unique
    different, simple basic easy, method approach technique way strategy, reason cause why,
    result outcome, news headline, url link address, word term, short brief concise, essay paper
    article
""")
)

# Verbs that only ask for something to be made: with the rest equal, one may be missing.
CREATION = frozenset(
    _words("write create make develop implement build design construct generate produce provide")
)

# Forms that no ending explains, and words whose ending is none.
IRREGULAR = dict(
    _groups("""
    bought buy, sold sell, wrote write, written write, built build, gave give, given give, took
    take, taken take, found find, made make, got get, gotten get, told tell, ran run, spent
    spend, began begin, begun begin, went go, gone go, came come, ate eat, eaten eat, drank
    drink, drove drive, driven drive, saw see, seen see, knew know, known know, grew grow, grown
    grow, kept keep, left left, lost lose, paid pay, read read, said say, sent send, shown show,
    spoke speak, spoken speak, thought think, threw throw, thrown throw, chose choose, chosen
    choose, broke break, broken break, held hold, led lead, met meet, caught catch, taught
    teach, brought bring, fell fall, fallen fall, children child, men man, women woman, people
    person, feet foot, mice mouse, indices index, vertices vertex, matrices matrix, evening
    evening, during during
""")
)

# Words that are each other's opposite.
OPPOSITES = frozenset(
    frozenset(group)
    for group in _groups("""
    ascending descending, increasing decreasing, increase decrease, largest smallest, maximum
    minimum, max min, highest lowest, biggest smallest, greatest least, most least, more less,
    more fewer, greater less, greater smaller, larger smaller, bigger smaller, higher lower,
    longer shorter, longest shortest, taller shorter, older younger, oldest youngest, oldest
    newest, newer older, faster slower, fastest slowest, heavier lighter, even odd, first last,
    start end, begin end, beginning end, upper lower, uppercase lowercase, before after, above
    below, left right, up down, top bottom, front back, forward backward, add subtract, add
    remove, addition subtraction, multiply divide, multiplication division, sum difference, plus
    minus, positive negative, true false, best worst, good bad, push pop, insert delete, insert
    remove, open close, buy sell, win lose, gain lose, profit loss, pros cons, row column,
    horizontal vertical, encode decode, encrypt decrypt, same different, unique duplicate, vowel
    consonant, inside outside, inner outer, input output, read write, save load, send receive,
    import export, upload download, push pull, earlier later, past future, hot cold, warm cool,
    male female, formal informal, append prepend, enable disable, show hide, lock unlock, allow
    forbid, accept reject, love hate, public private, numerator denominator, always never, all
    none, any all, and or, with without, strong weak, rich poor, success failure, prefix suffix,
    client server
""")
)

# Programming languages, of which each makes a task of its own.
LANGUAGES = frozenset(
    _words("""
    python javascript typescript java c c++ c# php ruby swift kotlin rust go
    scala perl r matlab bash shell powershell sql mysql html css haskell lua dart julia
    elixir erlang clojure fortran cobol assembly vb vba groovy objective-c f# lisp scheme prolog
""")
)

# Other names of these.
ALIASES = {"js": "javascript", "ts": "typescript", "golang": "go", "python2": "python"} | {
    "python3": "python"
}

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_TEENS = "fifteen sixteen seventeen eighteen nineteen twenty"
_TENS = "thirty forty fifty sixty seventy eighty ninety"

# "One" is left out: it is mostly a pronoun.
NUMBERS = {word: str(i) for i, word in enumerate(_words(f"{_UNITS} {_TEENS}")) if i != 1} | {
    word: str(10 * i) for i, word in enumerate(_words(_TENS), 3)
}
