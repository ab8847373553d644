"""An example plugin: a chat model that repeats the task, and a format with a row a line."""

from langchain_core.language_models import SimpleChatModel


class Echo(SimpleChatModel):
    """Answers with the last message, shortened to so many words."""

    words: int

    @property
    def _llm_type(self):
        return "echo"

    def _call(self, messages, stop=None, run_manager=None, **kwargs):
        return " ".join(str(messages[-1].content).split()[: self.words])


def open_model(model):
    """Open ``--llm echo:WORDS``; any LangChain chat model may be returned."""
    return Echo(words=int(model))


def write_lines(records, path):
    """Write each record as its instruction and its output, with a tab between them."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            texts = (" ".join(record[key].split()) for key in ("instruction", "output"))
            file.write("\t".join(texts) + "\n")
