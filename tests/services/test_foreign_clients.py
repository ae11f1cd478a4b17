"""transformers.js and optimum read an artifact as it is and answer as pipestill does.

The first run installs them into .scratch; later runs take seconds.
"""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import programs
from exporters.exporter_models import FURTHER
from pipeline.tiny_pipeline import STUDENTS, TinyPipeline
from pipestill.predict import Classifier
from services.clients import (
    CUT,
    ROOT,
    TEXTS,
    Answers,
    export_artifact,
    home,
    largest_difference,
    ours,
    python_environment,
    run,
    theirs,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

JAVASCRIPT = Path(__file__).parent / "javascript"
FILES = {"q8": "onnx/model_quantized.onnx", "fp32": "onnx/model.onnx"}
FURTHER_FILES = {exporter.variant.dtype: exporter.variant.file for exporter in FURTHER}
"""Files that an artifact has if `export.more` asks for them, by the dtype of transformers.js."""
OPTIMUM = ("optimum-onnx[onnxruntime]==0.1.0", "transformers==4.57.6", "torch==2.13.0")
SAME = 1e-5
"""The same arithmetic, summed in another order."""
INT8_ELSEWHERE = 0.03
"""A browser's int8 kernels round activations another way; a probability moves by this much at most."""
CHAMPION = ROOT / "models/champion"


@pytest.fixture(scope="module", params=["bert", "an_architecture_of_our_own", "made_by_the_pipeline"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an application gets it; the third is the champion, or where none is here, one of tiny models."""
    folder = tmp_path_factory.mktemp("artifacts")
    if request.param != "made_by_the_pipeline":
        export_artifact(folder / "model", folder / "artifact", model_type=request.param)
    else:
        pipeline: TinyPipeline = request.getfixturevalue("built")
        made = CHAMPION if (CHAMPION / FILES["q8"]).exists() else pipeline.root / "models/onnx" / STUDENTS[0]
        shutil.copytree(made, folder / "artifact")
    return folder / "artifact"


@pytest.fixture(scope="module")
def javascript() -> Path:
    """A folder with transformers.js in it."""

    def install(folder: Path) -> None:
        shutil.copy(JAVASCRIPT / "package.json", folder)
        # The scripts would download binaries for GPUs.
        options = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund")
        run([programs.find("npm"), "install", *options], folder)

    folder = home("transformers.js-4.3.1", install)
    for name in ("classify.mjs", "classify.html"):
        shutil.copy(JAVASCRIPT / name, folder)
    return folder


@pytest.fixture(scope="module")
def optimum() -> Path:
    """The Python of an environment with optimum-onnx in it."""
    name = "-".join(requirement.partition("==")[2] for requirement in OPTIMUM)
    return home(f"optimum-{name}", lambda folder: python_environment(folder, *OPTIMUM)) / "venv/bin/python"


@pytest.mark.parametrize(("dtype", "file"), (FILES | FURTHER_FILES).items())
def test_node_answers_as_pipestill_does(artifact: Path, javascript: Path, dtype: str, file: str) -> None:
    if dtype in FURTHER_FILES and not (artifact / file).exists():
        pytest.skip("the pipeline was not asked for this file")
    answers = theirs(run([programs.find("node"), "classify.mjs", artifact, dtype], javascript, TEXTS))
    assert largest_difference(answers, ours(artifact, file, TEXTS)) < SAME


@pytest.mark.parametrize(("dtype", "tolerance"), [("q8", INT8_ELSEWHERE), ("fp32", SAME)])
def test_chromium_answers_as_pipestill_does(
    artifact: Path, javascript: Path, tmp_path: Path, dtype: str, tolerance: float
) -> None:
    answers = in_chromium(artifact, javascript, tmp_path, {"dtype": dtype, "texts": TEXTS})
    assert largest_difference(answers, ours(artifact, FILES[dtype], TEXTS)) < tolerance


@pytest.mark.parametrize("file", FILES.values())
def test_optimum_answers_as_pipestill_does_long_texts_too(artifact: Path, optimum: Path, file: str) -> None:
    texts = [*TEXTS, CUT * 5]
    command = [optimum, Path(__file__).parent / "optimum_client.py", artifact, Path(file).name]
    answers = theirs(run(command, artifact, texts, **(os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""})))
    assert largest_difference(answers, ours(artifact, file, texts)) < SAME


def test_transformers_js_cuts_a_long_text_without_its_last_token(artifact: Path, javascript: Path) -> None:
    """Known, and said in docs/predict.md: it cuts the finished tokens, so that the closing [SEP] goes."""
    text = CUT * 5
    classifier = Classifier(artifact, file=FILES["fp32"])
    max_length = json.loads((artifact / "tokenizer_config.json").read_text())["model_max_length"]
    classifier.tokenizer.no_truncation()
    cut = {name: values[:, :max_length] for name, values in classifier.encode([text]).items()}
    powers = np.exp(classifier.run(cut)[0].astype(np.float64))
    expected = [dict(zip(classifier.labels, (powers / powers.sum()).tolist(), strict=True))]
    answers = theirs(run([programs.find("node"), "classify.mjs", artifact, "fp32"], javascript, [text]))
    assert largest_difference(answers, expected) < SAME


def in_chromium(artifact: Path, javascript: Path, profile: Path, task: dict[str, Any]) -> Answers:
    """Answers of a page in a browser that reaches nothing but this machine."""
    with serve(artifact, javascript, task) as (address, posted, done):
        browser = subprocess.Popen(
            [
                programs.find("chromium"),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={profile}",
                address,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert done.wait(300), "the page gave no answer"
        finally:
            browser.terminate()
            browser.wait(30)
    assert "error" not in posted, posted["error"]
    return theirs(json.dumps(posted["answers"]))


@contextmanager
def serve(
    artifact: Path, javascript: Path, task: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], threading.Event]]:
    """A server on loopback: the page, the library, the artifact and the task; what the page posts, and when."""
    posted: dict[str, Any] = {}
    done = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.partition("?")[0].lstrip("/") or "classify.html"
            inside = name.removeprefix("models/artifact/")
            return str(artifact / inside if inside != name else javascript / name)

        def do_GET(self) -> None:
            if self.path != "/texts.json":
                super().do_GET()
                return
            content = json.dumps(task).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            posted.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            done.set()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class names it so)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", posted, done
        finally:
            server.shutdown()
