#!/bin/sh
# Installs the mail programs and tools that the tests with the build tags
# "clients" and "faults" run, on Debian. Needs root.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends \
	swaks libnet-ssleay-perl libio-socket-ssl-perl curl ca-certificates isync offlineimap3 neomutt mutt \
	fetchmail getmail6 python3 tmux e2fsprogs util-linux strace
