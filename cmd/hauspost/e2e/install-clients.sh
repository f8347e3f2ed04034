#!/bin/sh
# Installs the mail programs and tools that the tests with the build tags
# "clients" and "faults" run, on Debian. Needs root.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# The tests run Postfix with a configuration of their own: it gets none here,
# so that none listens.
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get install -y -q --no-install-recommends \
	swaks libnet-ssleay-perl libio-socket-ssl-perl curl ca-certificates isync offlineimap3 neomutt mutt \
	fetchmail getmail6 msmtp php-cli postfix python3 python3-dkim python3-nacl tmux e2fsprogs util-linux strace \
	clang lld qemu-user-static
