"""Signatures of an artifact's folder, in the format of OpenSSF's model signing, made and verified offline.

Needs `cryptography` alone, and Python 3.10 or later: an application that verifies a release installs no training code.
"""
