"""An artifact as an MLflow model: the same bytes, beside a file of code, a signature and an example."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pipestill

REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pydantic", "tokenizers")
SERVED = Path(__file__).with_name("served_classifier.py")
CLASSIFIER = "classifier"
EXAMPLE_TEXTS = ["a gripping, funny film", "two hours I will never get back"]


class ModelIds(NamedTuple):
    """MLflow's ids of the model and of the run it belongs to."""

    model_id: str
    run_id: str


@contextmanager
def model_folder(artifact: Path, file: str, ids: ModelIds) -> Iterator[Path]:
    """Write an artifact's MLflow model to a folder that lasts as long as the block.

    The signature has a free number of texts of any length, and is read off the served code's type hints.

    Args:
        artifact: folder of the exported artifact.
        file: the one ONNX file of it that the model runs; other variants of the model stay out.
        ids: ids of the model and of the run.

    Yields:
        The folder: MLmodel, served_classifier.py, code/, artifacts/classifier/.
    """
    import mlflow
    from mlflow.models import Model

    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        target = work / "model"
        _copy_artifact(artifact, file, work / CLASSIFIER)
        _copy_code(work / "pipestill")
        mlflow.pyfunc.save_model(
            target,
            mlflow_model=Model(model_id=ids.model_id, run_id=ids.run_id),
            python_model=str(SERVED),
            artifacts={CLASSIFIER: str(work / CLASSIFIER)},
            model_config={"file": file},
            code_paths=[str(work / "pipestill")],
            input_example=(EXAMPLE_TEXTS, {"batch_size": 1}),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        _forget_this_machine(target)
        yield target


def classifier_folder(model: Path) -> Path:
    """Return the artifact folder inside an MLflow model's folder."""
    return model / "artifacts" / CLASSIFIER


def _copy_artifact(artifact: Path, file: str, target: Path) -> None:
    shutil.copytree(artifact, target, ignore=shutil.ignore_patterns("*.onnx"))
    shutil.copyfile(artifact / file, target / file)


def _copy_code(target: Path) -> None:
    """Copy the modules that the model runs, since pipestill is not in a package index."""
    source = Path(pipestill.__file__).parent
    target.mkdir()
    shutil.copyfile(source / "__init__.py", target / "__init__.py")
    for name in pipestill.RUNNER:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / f"{name}.py", target / f"{name}.py")


def _forget_this_machine(folder: Path) -> None:
    """Strip this machine's paths from MLmodel, where mlflow needs file names only."""
    from mlflow.models import Model

    model = Model.load(str(folder))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = SERVED.name
    flavor["artifacts"][CLASSIFIER]["uri"] = CLASSIFIER
    model.save(str(folder / "MLmodel"))
