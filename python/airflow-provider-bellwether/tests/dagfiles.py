"""Fills a DAGs folder: the tests' own files, the examples, the documents, the articles.

Keeps true: the code of documents and articles is taken as it stands. An article's block only
defines a class; the DAG that uses it is written behind it.
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[3]
ARTICLE = ROOT.parent / "shared/articles/002_416013abf3a5d4c2.txt"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^### (4\.\d) ", re.MULTILINE)

# Section, class, the argument that names the node.
SECTIONS = (
    ("4.1", "ZookeeperConfigOperator", "config_path"),
    ("4.2", "ZookeeperServiceOperator", "service_path"),
    ("4.3", "ZookeeperClusterOperator", "cluster_path"),
    ("4.4", "ZookeeperDataFlowOperator", "data_path"),
    ("4.5", "ZookeeperMonitorOperator", "zk_path"),
    ("4.6", "ZookeeperRecoverOperator", "zk_path"),
)


def article_blocks() -> dict[str, str]:
    """The Python blocks of article 002 by their sections; none where it is not present."""
    if not ARTICLE.is_file():
        return {}
    text = ARTICLE.read_text()
    starts = list(_SECTION.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    blocks = {}
    for start, end in zip(starts, ends, strict=True):
        found = _BLOCK.findall(text[start.start() : end])
        if len(found) == 1:
            blocks[start.group(1)] = found[0]
    return blocks


def document_blocks() -> dict[str, str]:
    """The Python blocks of the documents, all of one page together, by the page's name."""
    pages = sorted((ROOT / "docs/airflow").glob("*.md"))
    blocks = {page.stem: _BLOCK.findall(page.read_text()) for page in pages}
    return {name: "\n".join(found) for name, found in blocks.items() if found}


def install(folder: Path) -> None:
    """Writes every DAG file."""
    folder.mkdir()
    for source in sorted((Path(__file__).parent / "dags").glob("*.py")):
        shutil.copy(source, folder / f"test_{source.name}")
    for source in sorted((ROOT / "examples/airflow").glob("*.py")):
        shutil.copy(source, folder / f"example_{source.name}")
    for name, code in document_blocks().items():
        (folder / f"doc_{name.replace('-', '_')}.py").write_text(code)
    blocks = article_blocks()
    for section, operator, argument in SECTIONS:
        if section in blocks:
            name = "article_002_" + section.replace(".", "_")
            code = _article_dag(section, name, blocks[section], operator, argument)
            (folder / f"{name}.py").write_text(code)


def _article_dag(section: str, name: str, block: str, operator: str, argument: str) -> str:
    if section == "4.6":
        # Its class shadows the name that it imports, and would build itself.
        operator = "RecoverAtNightOperator"
        old = "class ZookeeperRecoverOperator(BaseOperator):"
        assert block.count(old) == 1
        block = block.replace(old, f"class {operator}(BaseOperator):")
        block = block.replace("super(ZookeeperRecoverOperator, self)", f"super({operator}, self)")
    return f"""{block}

import os

from airflow.sdk import DAG

_HOST, _PORT = os.environ["BELLWETHER_HOSTS"].split(":")

with DAG({name!r}):
    for _task in ("first", "second"):
        {operator}(
            task_id=_task,
            zk_hosts=_HOST,
            zk_user=None,
            zk_passwd=None,
            zk_port=_PORT,
            {argument}="/article-002/{section}",
        )
"""
