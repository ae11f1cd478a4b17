"""pipestill turns labelled text into a small, fast, versioned classifier.

`pipestill.predict` runs on every Python that pyproject.toml allows; the pipeline runs on TRAINING_PYTHONS. On another
Python its modules refuse to be imported, with an error that names the supported versions.
"""

import sys

TRAINING_PYTHONS = ((3, 11), (3, 12), (3, 13))
RUNNER = ("command", "errors", "json_text", "predict", "signing", "tasks", "truncation", "variants")


class TrainingCodeRefused:
    """Import finder that never finds a module, but raises an error for training code on an unsupported Python."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Return None, which passes modules of the runner and of other packages to the next finder.

        Raises:
            PipestillError: the module belongs to the pipeline.
        """
        package, _, module = name.partition(".")
        if package == "pipestill" and module and module.split(".")[0] not in RUNNER:
            from pipestill.errors import PipestillError

            supported = ", ".join(f"{major}.{minor}" for major, minor in TRAINING_PYTHONS)
            raise PipestillError(
                f"{name} does not run on this Python: it belongs to the pipeline",
                found=f"Python {sys.version_info.major}.{sys.version_info.minor}, {sys.executable}",
                expected=f"one of Python {supported}; any from 3.10 on for pipestill.predict only",
                next_step="run `make setup`, which looks for one of them, then use .venv/bin/python",
            )


if sys.version_info[:2] not in TRAINING_PYTHONS:
    sys.meta_path.insert(0, TrainingCodeRefused)
