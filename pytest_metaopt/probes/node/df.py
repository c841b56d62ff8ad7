"""``df``: the shell function that picks the amounts out of its output."""

from __future__ import annotations

# What is mounted may have spaces in its name ("//nas/AI Share"): the numbers are counted from the right.
COLUMNS = r"""
columns() {
  read -r line; read -r line || return 0
  case $line in *'% /'*) line=${line%%'% /'*} ;; *' - /'*) line="${line%%' - /'*} -" ;; esac
  set -f; word=$1; set -- $line
  [ $# -ge 4 ] || return 0
  shift $(($# - 4)); echo "$word $1 $3"
}
"""
