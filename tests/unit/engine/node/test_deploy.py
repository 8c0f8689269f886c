"""What stands in deploy/: units, a compose file and a dashboard say what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from cometbft import until
from node_chains import Make
from prometheus_client.parser import text_string_to_metric_families

from ioi_exec.node.application import Application
from ioi_exec.node.home import Chain, Config
from ioi_exec.node.metrics import Metrics
from ioi_exec.node.snapshots import Snapshots

ROOT = Path(__file__).parents[4]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.fixture
def samples(make: Make, tmp_path: Path) -> set[str]:
    """The names of all that a node shows."""
    chain = make().begin()
    snapshots = Snapshots(tmp_path / "snapshots", tmp_path / "state", every=0, keep=1)
    chain.application = Application(chain.machine, chain.records, snapshots=snapshots)
    chain.decide(b"a=1")
    text = Metrics(chain.application, state=tmp_path, connections=lambda: 4).text()[0].decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def used(dashboard: Any) -> set[str]:
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return set(re.findall(r"\b(?:ioi|process)_\w+", " ".join([*expressions, json.dumps(dashboard["templating"])])))


def test_every_metric_of_the_dashboard_exists(samples: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "ioi-exec.json").read_text())
    assert used(dashboard) and used(dashboard) <= samples, used(dashboard) - samples
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert panel["targets"] and place["x"] + place["w"] <= 24
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples if name.startswith("ioi_")}
    assert families - used(dashboard) - {"ioi_build_info"} <= {
        "ioi_block_phase_seconds", "ioi_block_timestamp_seconds", "ioi_validations_total", "ioi_arena_limit_bytes", "ioi_cache_limit_bytes",
        "ioi_snapshots_taken_total",
    }


def test_every_metric_is_documented(samples: set[str]) -> None:
    text = (ROOT / "docs" / "node.md").read_text()
    documented = set(re.findall(r"`(ioi_[a-z_]+)[`{]", text))
    assert documented == {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples if name.startswith("ioi_")}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = re.sub(r"(?m)^(ExecStart=)\S+", r"\g<1>/bin/true", unit.read_text())  # what is installed elsewhere
        (tmp_path / unit.name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in found.stderr.splitlines() if "ioi-exec" in line]
    assert found.returncode == 0 and not ours, found.stderr


def test_units_name_each_other_and_the_same_socket() -> None:
    app, node = ((DEPLOY / "systemd" / name).read_text() for name in ("ioi-exec.service", "ioi-exec-node.service"))
    assert "BindsTo=ioi-exec.service" in node and "After=ioi-exec.service" in node and "Wants=ioi-exec-node.service" in app
    (directory,) = re.findall(r"(?m)^WorkingDirectory=(.*)$", app)
    (home,) = re.findall(r"ioi-exec serve (\S+)", app)
    assert f"--proxy_app unix://{directory}/{home}/abci.sock" in node
    check_environment(dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", app)))


def check_environment(environment: dict[str, str]) -> None:
    """A node takes these settings."""
    assert environment
    Config.read(Config(Chain("x", "payments")).to_toml(), "config.toml", environment)


def test_compose_file() -> None:
    folder = DEPLOY / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    app, node = services["app"], services["node"]
    check_environment(app["environment"])
    assert app["environment"]["IOI_NODE_ABCI_LISTEN"] in node["command"]
    assert node["environment"]["WATCHED"] == "http://app:26670/healthz" and ":26670" in app["environment"]["IOI_NODE_MONITORING_LISTEN"]
    assert node["depends_on"]["app"]["condition"] == "service_healthy" and "26670/healthz" in app["healthcheck"]["test"][-1]
    for volume in node["volumes"]:
        if volume.startswith("./"):
            assert (folder / volume.partition(":")[0]).exists()
    open_to_all = [port for service in services.values() for port in service["ports"] if not port.startswith("127.0.0.1:")]
    assert open_to_all == ["26656:26656"]  # of CometBFT's peers
    assert "127.0.0.1:26657:26657" in node["ports"] and "tcp://0.0.0.0:26657" in node["command"]  # else nobody outside the container reaches it
    tool = shutil.which("docker")
    if tool and subprocess.run([tool, "compose", "version"], capture_output=True).returncode == 0:
        variables = {"IMAGE": "a", "COMETBFT_IMAGE": "b", "USER_ID": "1000:1000", "CHAIN": "/tmp"}
        subprocess.run([tool, "compose", "config", "-q"], cwd=folder, check=True, env={**os.environ, **variables})


class Watched:
    """A node under watched-node.sh, and what stands for wget: it finds its application as long as a file is there."""

    def __init__(self, folder: Path, node: str) -> None:
        self.alive = folder / "alive"
        self.alive.touch()
        (folder / "wget").write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\ntest -e {self.alive}\n')
        (folder / "wget").chmod(0o755)
        self.asked, self.runs = folder / "asked", folder / "runs"
        self.process = subprocess.Popen(
            ["sh", DEPLOY / "compose" / "watched-node.sh", "sh", "-c", node],
            env={
                **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "WATCHED": "http://app:1/healthz", "WATCH_SECONDS": "0.02",
                "RUNS": str(self.runs),
            },
            start_new_session=True,
        )

    def looked(self, times: int) -> None:
        """Wait until it has looked so often, and the node has said that it runs."""

        def has() -> bool:
            assert self.process.poll() is None
            return self.runs.exists() and self.asked.exists() and len(self.asked.read_text().splitlines()) >= times

        until(has)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Watch = Callable[[str], Watched]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    started: list[Watched] = []

    def start(node: str) -> Watched:
        started.append(Watched(tmp_path, node))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_node_whose_application_is_gone_is_killed(watch: Watch) -> None:
    """Though it is deaf to everything else."""
    watched = watch("trap '' TERM INT; : > \"$RUNS\"; while :; do sleep 0.1; done")
    watched.looked(5)
    assert "http://app:1/healthz" in watched.asked.read_text()
    watched.alive.unlink()
    assert watched.process.wait(120) == 128 + signal.SIGKILL


def test_a_node_that_is_asked_to_end_does(watch: Watch) -> None:
    watched = watch("trap 'exit 7' TERM; : > \"$RUNS\"; while :; do sleep 0.02; done")
    watched.looked(2)
    watched.process.terminate()
    assert watched.process.wait(120) == 7


def test_a_node_that_ends_by_itself_ends_it(watch: Watch) -> None:
    watched = watch("exit 3")
    assert watched.process.wait(120) == 3
