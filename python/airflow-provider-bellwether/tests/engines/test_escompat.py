"""The package airflow-provider-bellwether-escompat, beside Airflow's own provider."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from dagfiles import ROOT

SOURCES = ROOT / "python/airflow-provider-bellwether-escompat/src"
HERE = "airflow/providers/elasticsearch"
needs_upstream = pytest.mark.skipif(
    "BELLWETHER_UPSTREAM" not in os.environ,
    reason="the wheel of Airflow's provider is not at hand (cargo xtask test airflow fetches it)",
)


@pytest.fixture
def upstream() -> zipfile.ZipFile:
    """The wheel of Airflow's own provider, of the version in `upstream.txt`."""
    pin = (SOURCES.parent / "upstream.txt").read_text().strip()
    version = pin.rpartition("==")[2]
    (wheel,) = Path(os.environ["BELLWETHER_UPSTREAM"]).glob(f"*elasticsearch-{version}-*.whl")
    return zipfile.ZipFile(wheel)


def test_two_files_are_shipped() -> None:
    shipped = sorted(path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py"))
    assert shipped == [f"{HERE}/operators/__init__.py", f"{HERE}/operators/elasticsearch.py"]


@needs_upstream
def test_airflows_own_provider_has_no_operators(upstream: zipfile.ZipFile) -> None:
    """Once it has, its module is the one that programs mean, and the package has to end."""
    theirs = upstream.namelist()
    assert f"{HERE}/__init__.py" in theirs
    assert [name for name in theirs if name.startswith(f"{HERE}/operators")] == []


@needs_upstream
def test_it_works_beside_airflows_own_provider(
    upstream: zipfile.ZipFile, tmp_path: Path
) -> None:
    """Both in one directory, as pip installs them."""
    upstream.extractall(tmp_path)
    shutil.copytree(SOURCES / HERE / "operators", tmp_path / HERE / "operators")
    program = (
        "import airflow.providers.elasticsearch as theirs\n"
        "from airflow.providers.elasticsearch.operators import elasticsearch as ours\n"
        "print(theirs.__file__, ours.ElasticsearchOperator.__module__)\n"
    )
    # In front of what is installed: the same names are found here first.
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    file, module = done.stdout.split()[-2:]
    assert file.startswith(str(tmp_path))
    assert module == "bellwether_airflow.elasticsearch.document_operator"
