# Sourced by the tools that build or run Gyr. Sets TOP, BUILD (the release) and STAGE (where it is installed, to be run from the checkout).
# shellcheck shell=bash
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
BUILD=$TOP/build/release
STAGE=$BUILD/stage/usr/local

# Runs this script again on the platform: enter CONTAINMENT "$@" (CONTAINMENT: --contain or --alone, see tools/root).
enter() {
	[ -n "${GYR_ENTERED:-}" ] && return
	local how=$1
	shift
	GYR_ENTERED=$(id -u) exec "$TOP/tools/root" "$how" "$TOP/tools/${0##*/}" "$@"
}

# build DIRECTORY MESON-OPTION...: configures where needed and compiles; prints only what fails.
build() {
	local dir=$1
	shift
	mkdir -p "$dir"
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$TOP" "$@" >"$dir/setup.log" 2>&1 || { tail -n 20 "$dir/setup.log" >&2; return 1; }
	fi
	ninja -C "$dir" >"$dir/ninja.log" 2>&1 || { grep -v '^\[' "$dir/ninja.log" | head -n 60 >&2; return 1; }
}

# The release, compiled and installed in the build directory.
build_release() {
	build "$BUILD"
	meson install -C "$BUILD" --no-rebuild --only-changed --destdir "$BUILD/stage" >"$BUILD/install.log" 2>&1 || { tail -n 20 "$BUILD/install.log" >&2; return 1; }
}
