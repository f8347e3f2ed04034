#!/bin/sh
# Makes the .bin files anew from the .txtpb files, by protoc. README.md says more.
set -eu
for f in golden/*.txtpb; do
	message=$(basename "${f%%-*}")
	protoc --proto_path=.. --encode="hauspost.plugin.v1.$message" plugin_v1.proto <"$f" >"${f%.txtpb}.bin"
done
for f in later/*.txtpb; do
	message=$(basename "${f%%-*}")
	protoc --proto_path=. --encode="hauspost.plugin.later.$message" later.proto <"$f" >"${f%.txtpb}.bin"
done
