"""An inert build backend, which lets pip download an sdist without running the sdist's setup.py.

`pip download` prepares the metadata of a source distribution, for which it calls the distribution's build backend, and
setuptools' backend runs setup.py. `pipestill.sources.package` copies this file to `setuptools/build_meta.py` in a
folder that comes first on the path of that one pip process. It answers with the PKG-INFO that every sdist carries.

It does not cover an sdist whose pyproject.toml names another backend. If that backend is not installed, pip stops with
an error; if it is installed or lies inside the sdist, it runs. The sdist is the pinned one in any case: pip checks the
SHA-256 before it opens the file.
"""

import email
import pathlib
import shutil
import sys


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:  # noqa: ARG001 (PEP 517)
    """Return an empty list of requirements (PEP 517), since nothing is built."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:  # noqa: ARG001
    """Write PKG-INFO as the metadata (PEP 517); the working directory is the unpacked sdist."""
    source = pathlib.Path("PKG-INFO")
    fields = email.message_from_string(source.read_text(encoding="utf-8"))
    name = fields["Name"].replace("-", "_")
    folder = pathlib.Path(metadata_directory) / f"{name}-{fields['Version']}.dist-info"
    folder.mkdir()
    shutil.copyfile(source, folder / "METADATA")
    (folder / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", encoding="utf-8")
    return folder.name


__legacy__ = sys.modules[__name__]
"""Backend name that setuptools uses for sdists without pyproject.toml."""
