#!/bin/sh
# Runner of the QEMU boards: `cargo run` in a board's folder calls it with the board's name and the firmware. It goes to the root of the
# sources first, so that the host tool is not compiled for the board.
set -eu
board=$1
firmware=$(realpath "$2")
cd "$(dirname "$0")/.."
exec cargo run --quiet --package nervelet-qemu --bin run-in-qemu -- "$board" "$firmware"
