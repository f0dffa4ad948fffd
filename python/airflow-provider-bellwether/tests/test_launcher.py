"""The launcher with real processes: elections, configurations, restarts, the registry."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from bellwether import Acl, Client, NoNodeError, Perms
from conftest import until
from launched import CLI, Stage, is_alive
from relay import Relay

from bellwether_airflow.launcher import run
from bellwether_airflow.launcher.elect import Lease
from bellwether_airflow.launcher.run import Launcher, Plan
from bellwether_airflow.launcher.service import Ensemble

TIMEOUT = ("--session-timeout", "4")


def test_the_launcher_never_imports_airflow() -> None:
    code = (
        "import sys\n"
        "from bellwether_airflow.launcher import agent, cli, keeper, run\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] == 'airflow'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_running_launcher_has_no_file_of_airflow_open(
    stage: Stage, hosts: str, root: str
) -> None:
    launcher = stage.run("--hosts", hosts, "--election", f"{root}/leader", "--register")
    until(lambda: stage.said("begin"), "the component")
    maps = Path(f"/proc/{launcher.pid}/maps").read_text()
    assert "_native" in maps
    assert "sqlalchemy" not in maps


def test_the_launcher_ends_with_the_components_code(hosts: str) -> None:
    command = [*CLI, "run", "--hosts", hosts, "--", "sh", "-c", "exit 7"]
    assert subprocess.run(command, timeout=60).returncode == 7
    command = [*CLI, "run", "--hosts", hosts, "--", "sh", "-c", "kill -9 $$"]
    assert subprocess.run(command, timeout=60).returncode == 137
    command = [*CLI, "run", "--hosts", hosts, "--", "/nowhere/program"]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == 127
    assert "/nowhere/program cannot be started: No such file" in done.stderr


def test_a_launcher_that_is_told_to_end_ends_everything(stage: Stage, hosts: str) -> None:
    launcher = stage.run("--hosts", hosts)
    until(lambda: stage.said("begin"), "the component")
    launcher.terminate()
    assert launcher.wait(60) == 0
    assert [line["what"] for line in stage.said()] == ["begin", "end"]
    assert _nobody_holds(stage)


def test_a_stubborn_component_is_killed_after_its_grace(stage: Stage, hosts: str) -> None:
    launcher = stage.run("--hosts", hosts, "--grace", "0.2", words=("stubborn",))
    until(lambda: stage.said("begin"), "the component")
    launcher.terminate()
    assert launcher.wait(60) == 137
    assert _nobody_holds(stage)


def one_of_two(
    stage: Stage, hosts: str, others: str, root: str, *words: str
) -> "subprocess.Popen[bytes]":
    """The launcher that is elected and runs; a second one, connected to `others`, waits."""
    arguments = ("--election", f"{root}/leader", *TIMEOUT)
    first: subprocess.Popen[bytes] = stage.run(
        "--hosts", hosts, *arguments, name="first", words=words
    )
    until(lambda: stage.said("begin", "first"), "the first")
    stage.run("--hosts", others, *arguments, name="second")
    until(lambda: "waiting to be elected" in stage.log("second"), "the second to wait")
    return first


def test_one_of_two_runs_and_the_other_follows(stage: Stage, hosts: str, root: str) -> None:
    first = one_of_two(stage, hosts, hosts, root)
    first.terminate()
    until(lambda: stage.said("begin", "second"), "the second")
    _is_a_succession(stage)


def test_after_a_kill_of_the_leaders_launcher_components_do_not_overlap(
    stage: Stage, hosts: str, root: str
) -> None:
    first = one_of_two(stage, hosts, hosts, root, "stubborn")
    first.kill()
    until(lambda: _nobody_holds(stage), "the first's processes to be killed")
    assert not stage.said("begin", "second"), "the second came before the session's end"
    until(lambda: stage.said("begin", "second"), "the second")
    _is_a_succession(stage)


def test_in_a_partition_components_do_not_overlap(stage: Stage, hosts: str, root: str) -> None:
    with Relay(hosts) as relay:
        first = one_of_two(stage, relay.hosts, hosts, root, "stubborn")
        relay.freeze()
        until(lambda: stage.said("begin", "second"), "the second")
        _is_a_succession(stage)
        assert "no server has answered for half of the session timeout" in stage.log("first")
        relay.thaw()
        until(lambda: stage.log("first").count("waiting to be elected") == 2, "the first to wait")
        assert first.poll() is None
        assert len(stage.said("begin", "first")) == 1


def test_a_launcher_that_is_stopped_keeps_no_component(
    stage: Stage, hosts: str, root: str
) -> None:
    first = one_of_two(stage, hosts, hosts, root, "stubborn")
    first.send_signal(signal.SIGSTOP)
    until(lambda: stage.said("begin", "second"), "the second")
    _is_a_succession(stage)
    first.send_signal(signal.SIGCONT)
    until(lambda: stage.log("first").count("waiting to be elected") == 2, "the first to wait")
    assert len(stage.said("begin", "first")) == 1


def test_an_office_that_is_broken_ends_its_component(stage: Stage, hosts: str, root: str) -> None:
    arguments = ("--hosts", hosts, "--election", f"{root}/leader", *TIMEOUT)
    stage.run(*arguments, words=("stubborn",))
    until(lambda: stage.said("begin"), "the component")
    begun = stage.said("begin")[0]
    wrong = [*CLI, "locks", "break", "--hosts", hosts, f"{root}/leader", "--fence", "1"]
    assert subprocess.run(wrong, timeout=60).returncode == 1
    assert is_alive(begun["pid"])
    subprocess.run([*wrong[:-1], str(begun["epoch"])], timeout=60, check=True)
    until(lambda: len(stage.said("begin")) == 2, "the next office")
    assert not is_alive(begun["pid"])
    _is_a_succession(stage)


def test_options_are_rendered_and_changes_roll(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    client.create(f"{config}/core/parallelism", b"4", makepath=True)
    arguments = ("--hosts", hosts, "--config", config, "--restart-lock", f"{root}/restart")
    names = ("one", "two", "three")
    for name in names:
        stage.run(*arguments, "--settle", "50", name=name, ALONE=name)
    until(lambda: len(stage.said("begin")) == 3, "the components")
    client.set(f"{config}/core/parallelism", b"5")
    until(lambda: len(stage.said("begin")) == 6, "the restarts")
    assert {line["given"]["AIRFLOW__CORE__PARALLELISM"] for line in stage.said("begin")[:3]} == {
        "4"
    }
    rolled = stage.said()[3:]
    assert [line["what"] for line in rolled] == ["end", "begin"] * 3
    for ended, begun in zip(rolled[::2], rolled[1::2], strict=True):
        assert ended["launcher"] == begun["launcher"]
        assert begun["given"]["AIRFLOW__CORE__PARALLELISM"] == "5"
    assert {line["launcher"] for line in rolled} == set(names)
    assert not stage.said("overlap")


def test_a_configuration_that_does_not_come_up_is_left(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    client.create(f"{config}/core/parallelism", b"4", makepath=True)
    stage.run("--hosts", hosts, "--config", config, "--restart-lock", f"{root}/restart")
    until(lambda: stage.said("begin"), "the component")
    client.set(f"{config}/core/parallelism", b"13")
    until(lambda: len(stage.said("begin")) == 2, "the configuration of before")
    assert [line["what"] for line in stage.said()] == ["begin", "end", "unlucky", "begin"]
    client.set(f"{config}/core/parallelism", b"6")
    until(lambda: len(stage.said("begin")) == 3, "the configuration after it")
    given = [line["given"]["AIRFLOW__CORE__PARALLELISM"] for line in stage.said("begin")]
    assert given == ["4", "4", "6"]


def test_a_tree_with_something_impossible_is_refused(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    for option, value in (
        ("core/parallelism", b"4"),
        ("core/fernet_key", b"hidden-value"),
        ("core/nonsense", b"1"),
        ("nowhere/option", b"1"),
        ("core/dags_folder", b"$HOME/hidden-value"),
        ("core/plugins_folder", b"~/hidden-value"),
        ("core/parallelism/history/0000000000", b"$ is not read here"),
    ):
        client.create(f"{config}/{option}", value, makepath=True)
    launcher = stage.run("--hosts", hosts, "--config", config)
    assert launcher.wait(60) == 2
    log = stage.log()
    for path, why in (
        ("core/fernet_key", "it is sensitive"),
        ("core/nonsense", "Airflow has no such option"),
        ("nowhere/option", "Airflow has no such section"),
        ("core/dags_folder", "its value has a $"),
        ("core/plugins_folder", "its value begins with ~"),
    ):
        assert f"{config}/{path}: {why}" in log
    assert "hidden-value" not in log
    assert "history" not in log
    assert not stage.said()


@pytest.mark.parametrize("path", ["", "/core", "/core/parallelism"])
def test_a_tree_that_may_not_be_read_is_refused(
    path: str, stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    client.create(f"{config}/core/parallelism", b"4", makepath=True)
    client.set_acl(config + path, [Acl(Perms.DELETE, "world", "anyone")])
    launcher = stage.run("--hosts", hosts, "--config", config)
    assert launcher.wait(60) == 2
    assert f"{config}{path}: this user may not read it" in stage.log()
    assert not stage.said()
    for node in ("/core/parallelism", "/core", ""):
        client.delete(config + node)


def test_a_change_that_is_refused_restarts_nothing(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    client.create(f"{config}/core/parallelism", b"4", makepath=True)
    stage.run("--hosts", hosts, "--config", config, "--restart-lock", f"{root}/restart")
    until(lambda: stage.said("begin"), "the component")
    client.create(f"{config}/core/nonsense", b"1")
    until(lambda: "Airflow has no such option" in stage.log(), "the refusal")
    assert [line["what"] for line in stage.said()] == ["begin"]


def test_one_that_waits_outlives_a_tree_that_is_refused(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    config = f"{root}/config"
    client.create(f"{config}/core/parallelism", b"4", makepath=True)
    arguments = ("--hosts", hosts, "--config", config, "--election", f"{root}/leader", *TIMEOUT)
    first = stage.run(*arguments, "--restart-lock", f"{root}/restart", name="first")
    until(lambda: stage.said("begin", "first"), "the first")
    stage.run(*arguments, "--restart-lock", f"{root}/restart", name="second")
    until(lambda: "waiting to be elected" in stage.log("second"), "the second to wait")
    until(lambda: "the configuration has 1 options" in stage.log("second"), "the second to read")
    client.create(f"{config}/core/nonsense", b"1")
    until(lambda: "Airflow has no such option" in stage.log("second"), "the refusal")
    first.terminate()
    until(lambda: stage.said("begin", "second"), "the second")
    begun = stage.said("begin", "second")[0]
    assert begun["given"]["AIRFLOW__CORE__PARALLELISM"] == "4"
    _is_a_succession(stage)


def test_a_component_is_registered_while_it_runs(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    deployment = root.removeprefix("/")
    arguments = ("--register", "--deployment", deployment, "--component", "scheduler")
    launcher = stage.run("--hosts", hosts, *arguments, "--port", "8793", "--settle", "50")
    until(lambda: _registered(hosts, deployment, "up"), "the registration")
    found = _registered(hosts, deployment, "up")[0]
    begun = stage.said("begin")[0]
    assert found["pid"] == str(begun["pid"])
    assert found["ports"] == "8793"
    assert found["version"].startswith("3.")
    assert begun["given"]["AIRFLOW__BELLWETHER__DEPLOYMENT"] == deployment
    node = f"/airflow/{deployment}/registry/scheduler/{found['id']}"
    assert client.get(node)[1].ephemeral_owner
    launcher.terminate()
    assert launcher.wait(60) == 0
    with pytest.raises(NoNodeError):
        client.get(node)
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_a_registration_comes_back_after_its_session(
    stage: Stage, client: Client, hosts: str, root: str
) -> None:
    deployment = root.removeprefix("/")
    with Relay(hosts) as relay:
        arguments = ("--register", "--deployment", deployment, "--component", "triggerer")
        stage.run("--hosts", relay.hosts, *arguments, *TIMEOUT)
        until(lambda: _registered(hosts, deployment, "up"), "the registration")
        relay.freeze()
        until(lambda: not _registered(hosts, deployment, "up"), "the end of the session")
        relay.thaw()
        until(lambda: _registered(hosts, deployment, "up"), "the registration again")
    assert len(stage.said("begin")) == 1
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_a_tree_is_pushed_and_compared(
    tmp_path: Path, client: Client, hosts: str, root: str
) -> None:
    file = tmp_path / "wanted.cfg"
    file.write_text("[core]\nparallelism = 8\n[scheduler]\nparsing_cleanup_interval = 60\n")
    config = f"{root}/config"

    def ask(what: str, *more: str) -> tuple[int, str]:
        command = [*CLI, "config", what, "--hosts", hosts, *more, config, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert ask("diff")[0] == 1
    assert ask("push") == (
        0,
        "+ core/parallelism = 8\n+ scheduler/parsing_cleanup_interval = 60\n",
    )
    assert ask("diff") == (0, "")
    file.write_text("[core]\nparallelism = 9\n")
    assert ask("push") == (0, "~ core/parallelism = 8 -> 9\n")
    assert ask("push", "--prune") == (0, "- scheduler/parsing_cleanup_interval = 60\n")
    assert client.get(f"{config}/core/parallelism")[0] == b"9"
    assert client.children(f"{config}/scheduler") == []
    file.write_text("[core]\nfernet_key = hidden-value\n")
    code, said = ask("push")
    assert code == 2
    assert "core/fernet_key: it is sensitive" in said
    assert "hidden-value" not in said


def test_impossible_arguments_are_refused(hosts: str) -> None:
    for arguments, why in (
        (["run", "--hosts", hosts], "run what?"),
        (["run", "--hosts", hosts, "--election", "leader", "--", "true"], "--election is 'leader'"),
        (["run", "--hosts", hosts, "--deployment", "a/b", "--", "true"], "--deployment is 'a/b'"),
        (["run", "--", "true"], "which ensemble?"),
        (["registry", "--hosts", hosts, "--password-file", "x"], "without --user"),
        (["registry", "--hosts", hosts, "--", "true"], "takes no command"),
    ):
        done = subprocess.run([*CLI, *arguments], capture_output=True, text=True, timeout=60)
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr


class LateOffice:
    """An office that was won when its lease was over, and was then confirmed."""

    epoch = 7

    def __init__(self) -> None:
        self.is_confirmed = False

    def lease(self) -> Lease:
        left = 30.0 if self.is_confirmed else -1.0
        return Lease(time.monotonic() + left, time.monotonic() + left)


def test_an_office_that_is_confirmed_late_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Campaign:
        def __init__(self, *arguments: Any) -> None:
            self._elected, self._lease = arguments[3:5]

        def start(self) -> None:
            office = LateOffice()
            self._elected(office)
            threading.Thread(target=self._confirm, args=(office,)).start()

        def _confirm(self, office: LateOffice) -> None:
            until(launcher.has_considered.is_set, "the decision not to start yet")
            office.is_confirmed = True
            self._lease(office.lease())

    class Considering(Launcher):
        has_considered = threading.Event()

        def _on_elected(self, office: Any) -> None:
            super()._on_elected(office)
            self.has_considered.set()

    monkeypatch.setattr(run, "Campaign", Campaign)
    command = ("sh", "-c", f"echo $BELLWETHER_EPOCH > {tmp_path}/epoch")
    plan = Plan(Ensemble("127.0.0.1:1"), command, "sh", election="/leader")
    launcher = Considering(plan)
    # Without a component it would wait for ever.
    giving_up = threading.Timer(30.0, os.kill, (os.getpid(), signal.SIGTERM))
    giving_up.start()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert launcher.run() == 0
    finally:
        giving_up.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert (tmp_path / "epoch").read_text() == "7\n"


def _registered(hosts: str, deployment: str, health: str) -> list[dict[str, str]]:
    command = [*CLI, "registry", "--hosts", hosts, "--deployment", deployment]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = [each for component in json.loads(done.stdout).values() for each in component]
    return [each for each in found if each["health"] == health]


def _nobody_holds(stage: Stage) -> bool:
    import fcntl

    with open(f"{stage.file}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_a_succession(stage: Stage) -> None:
    """No process of one was there when another began, and epochs rise."""
    assert not stage.said("overlap"), stage.said()
    epochs = [line["epoch"] for line in stage.said("begin")]
    assert epochs == sorted(set(epochs))
    assert epochs[0] > 0
