#!/bin/sh
# Print the first of the given commands that is a Python which can make .venv.
#
#   sh tools/find_python.sh python3.11 python3.12 python3.13 python3
#
# Where none is, say on standard error what each of them is, and exit with 1. A shell script, because there may be no Python.

# pyenv and the like leave commands on the PATH that run nothing; Debian's python3 comes without ensurepip.
suitable='
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("Python %d.%d.%d" % sys.version_info[:3])
try:
    import ensurepip, venv
except ImportError as error:
    sys.exit("Python %d.%d.%d without the module %s" % (sys.version_info[:3] + (error.name,)))
'

found=
for candidate in "$@"; do
    if ! command -v "$candidate" > /dev/null; then
        reason="no such command"
    elif reason=$("$candidate" -c "$suitable" 2>&1); then
        echo "$candidate"
        exit 0
    fi
    found="${found:+$found
            }$candidate: $(echo "${reason:-does not run}" | grep -m 1 .)"
done

cat >&2 <<END
error: no Python can make the environment
  found:    ${found:-no command was named}
  expected: Python 3.11, 3.12 or 3.13 with the module ensurepip, as one of these commands
  next:     install one (on Debian and Ubuntu: apt-get install python3.11 python3.11-venv), or name the one you have:
            make setup PYTHON=/path/to/python3.12
END
exit 1
