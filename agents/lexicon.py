"""English words that say little or the same, for comparing two tasks.

What is not listed counts as a difference: a missing entry makes a row stay or a model be asked,
it never removes a row.
"""

from __future__ import annotations

# Words that carry no requirement of their own: grammar, courtesy, and the frame of a request.
LIGHT = frozenset(
    """
    a an the this that these those it its they them their there he him his she her i me my mine we
    us our you your yours one ones
    is are was were be been being am do does did done has have had having will would shall should
    can could may might must need needs s t re ll ve d m
    of to for with by and as in on at into from about so such also too then than just only well
    which who whom whose what how that if whether when while where
    please kindly thanks thank help hello hi dear
    want wants wish wished like likes able possible ask asked asks task question problem request
    answer look back out up given give following follow below above provided supplied here
    way manner means purpose order make makes sure using use uses used utilize utilise some certain
    specific particular let show tell know me
    的 了 吗 呢 请 把 个 这 那 是 在 和 与 一 您 你 我 们
    """.split()
) - frozenset("who when where".split())

# Words that negate what they stand with.
NEGATIONS = frozenset("not no never without except excluding neither nor none cannot 不 没 无 未".split())

# Words that may stand for one another in a request; a word may be in several groups.
SYNONYMS = tuple(
    frozenset(line.split())
    for line in """
    write create make develop implement build design construct generate produce compose devise
        craft code draft program form prepare author come implementation
    find determine identify locate discover detect search seek recognise recognize spot point
    find determine calculate compute evaluate work figure count derive solve calculation
    calculate estimate measure
    explain describe clarify outline discuss elaborate explanation description illustrate interpret
    get retrieve fetch obtain extract acquire receive read collect take accept
    list enumerate name mention cite
    convert transform change turn translate port rewrite conversion translation transformation
    modify change edit alter adjust adapt update revise amend
    remove delete eliminate drop strip discard omit exclude
    check verify test determine validate examine confirm see
    show display present print output exhibit
    return output give yield produce provide supply offer
    suggest propose recommend advise
    rewrite rephrase reword paraphrase
    summarize summarise sum summary summarization
    sort order arrange rank
    combine merge join concatenate unite
    split divide separate partition
    fix correct repair debug resolve
    improve optimize optimise enhance refine
    compare contrast comparison
    choose select pick decide
    function method routine procedure subroutine
    program script application app code software snippet piece
    array list collection sequence
    dictionary map hashmap
    string text
    integer int number numeral digit
    value element item entry
    number amount quantity count
    sentence phrase
    error mistake bug issue fault
    largest biggest greatest maximum max highest
    smallest tiniest minimum min lowest least
    large big huge great
    small little tiny
    quick fast rapid speedy
    begin start commence initiate
    end finish stop complete conclude
    buy purchase
    need require
    kid child children
    remaining left remain
    total altogether overall sum all
    each every per apiece
    current present now currently presently
    latest recent newest last
    information info detail fact data knowledge
    contain include hold comprise have
    same identical equal
    correct right accurate proper
    additional extra further more
    efficient effective efficiently
    whole entire complete full
    average mean
    occurrence appearance instance
    example instance sample
    various several multiple many different
    story tale narrative
    job profession occupation
    hand give pass
    receive get
    person people individual human
    picture image photo
    movie film
    car automobile
    couple two
    reverse invert backwards
    duplicate repeated
    distinct unique different
    simple basic easy
    method approach technique way strategy
    reason cause why
    result outcome
    parameter argument
    input given
    news headline
    url link address
    word term
    short brief concise
    essay paper article
    """.replace("\n        ", " ").strip().splitlines()
)

# Words that are each other's opposite.
OPPOSITES = frozenset(
    frozenset(pair.split())
    for pair in """
    ascending descending, increasing decreasing, increase decrease, largest smallest, maximum minimum,
    max min, highest lowest, biggest smallest, greatest least, most least, more less, more fewer,
    greater less, greater smaller, larger smaller, bigger smaller, higher lower, longer shorter,
    longest shortest, taller shorter, older younger, oldest youngest, oldest newest, newer older,
    faster slower, fastest slowest, heavier lighter, even odd, first last, start end, begin end,
    beginning end, upper lower, uppercase lowercase, before after, above below, left right, up down,
    top bottom, front back, forward backward, add subtract, add remove, addition subtraction,
    multiply divide, multiplication division, sum difference, plus minus, positive negative, true false,
    best worst, good bad, push pop, insert delete, insert remove, open close, buy sell, win lose,
    gain lose, profit loss, pros cons, row column, horizontal vertical, encode decode, encrypt decrypt,
    same different, unique duplicate, vowel consonant, inside outside, inner outer, input output,
    read write, save load, send receive, import export, upload download, push pull, earlier later,
    past future, hot cold, warm cool, male female, formal informal, append prepend, enable disable,
    show hide, lock unlock, allow forbid, accept reject, love hate, public private, numerator denominator,
    always never, all none, any all, and or, with without, strong weak, rich poor, success failure,
    prefix suffix, client server
    """.replace("\n", " ").split(",")
)

# Programming languages, of which each makes a task of its own.
LANGUAGES = frozenset(
    """
    python python2 python3 javascript js typescript java c c++ c# php ruby swift kotlin rust go golang
    scala perl r matlab bash shell powershell sql mysql html css haskell lua dart julia elixir erlang
    clojure fortran cobol assembly vb vba groovy objective-c f# lisp scheme prolog
    """.split()
)

NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        """
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
        sixteen seventeen eighteen nineteen twenty
        """.split()
    )
    if value > 1  # "one" is mostly a pronoun
} | dict(zip("thirty forty fifty sixty seventy eighty ninety".split(), map(str, range(30, 100, 10)), strict=True))
