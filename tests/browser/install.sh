#!/usr/bin/env bash
# Installs chromium for the browser tests where that is allowed; says so where it is not.
set -u
command -v chromium > /dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
	echo "installing chromium for the browser tests"
	{ apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk; } \
		> /dev/null 2>&1
fi
command -v chromium > /dev/null || echo "no chromium here: the browser tests are skipped"
exit 0
