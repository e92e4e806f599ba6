# Sourced by the tools that build or run Gyr. Sets TOP and BUILD.
# shellcheck shell=bash
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$TOP/build/release

# Runs this script again on the platform: enter CONTAINMENT "$@" (CONTAINMENT: --contain or --alone, see tools/root).
enter() {
	[ -n "${GYR_ENTERED:-}" ] && return
	local how=$1
	shift
	GYR_ENTERED=1 exec "$TOP/tools/root" "$how" "$TOP/tools/${0##*/}" "$@"
}

# build DIRECTORY LOGNAME MESON-OPTION...: configures where needed, compiles; prints only what fails.
build() {
	local dir=$1
	shift
	mkdir -p "$dir"
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$TOP" "$@" >"$dir/setup.log" 2>&1 || { tail -n 20 "$dir/setup.log" >&2; return 1; }
	fi
	ninja -C "$dir" >"$dir/ninja.log" 2>&1 || { grep -v '^\[' "$dir/ninja.log" | head -n 60 >&2; return 1; }
}
