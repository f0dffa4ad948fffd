"""The DAG of article 000: its block 4.2 as it stands, in a DAG on a cron schedule under a lock.

Keeps true: it is written only where the article is present, and where its import can be made, which
takes the package airflow-provider-bellwether-escompat.
"""

import importlib.util
import re
from pathlib import Path

from dagfiles import ROOT

ARTICLE = ROOT.parent / "shared/articles/000_02a79c4b2df151e4.txt"
_SECTION = re.compile(r"^### 4\.2 .*?^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MODULE = "airflow.providers.elasticsearch.operators.elasticsearch"


def article_block() -> str | None:
    """The code of section 4.2; nothing where the article is not present."""
    if not ARTICLE.is_file():
        return None
    found = _SECTION.search(ARTICLE.read_text())
    return found.group(1) if found else None


def can_import() -> bool:
    """Whether the article's import can be made here."""
    try:
        return importlib.util.find_spec(_MODULE) is not None
    except ModuleNotFoundError:
        return False


def install(folder: Path) -> None:
    """Writes the DAG file."""
    block = article_block()
    if block is None or not can_import():
        return
    # What the article leaves out: the document, the DAG, and the lock of its section 3.1.
    (folder / "article_000_4_2.py").write_text(
        f"""from airflow.sdk import DAG

my_doc = {{"title": "an article", "run": "{{{{ run_id }}}}"}}
dag = DAG("article_000_4_2", schedule="*/5 * * * *", default_args={{"lock": "/article-000/lock"}})
dag.__enter__()

{block}
dag.__exit__(None, None, None)
"""
    )
