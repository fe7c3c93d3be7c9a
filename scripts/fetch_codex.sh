#!/usr/bin/env bash
# fetch_codex.sh FOLDER VERSION…: unpack these versions of codex, whole packages, from npm.
set -eu
folder=$1; shift
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  Darwin-arm64) platform=darwin-arm64 ;;
  Darwin-x86_64) platform=darwin-x64 ;;
  *) echo "There is no codex for $(uname -s) on $(uname -m)." >&2; exit 1 ;;
esac
mkdir -p "$folder"
scratch=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
for version in "$@"; do
  [ -x "$folder/$version/bin/codex" ] && continue
  (cd "$scratch" && npm pack --silent "@openai/codex@$version-$platform" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
  rm -rf "${folder:?}/$version"
  mv "$scratch"/package/vendor/* "$folder/$version"
  rm -rf "$scratch/package"
done
