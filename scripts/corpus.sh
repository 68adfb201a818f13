#!/usr/bin/env bash
# Signs every PDF file in the test suites of other PDF software, as Debian ships their sources, and
# lets qpdf and poppler judge the results. Files that qpdf finds flawless must stay so, with a valid
# signature; what is refused is counted by its code. Needs a Debian machine and some 200 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
signbus=$PWD/bin/signbus
sources="qpdf libpdfbox2-java pypdf poppler pdfminer pikepdf mupdf"
work=${CORPUS:-$PWD/.tools/corpus}
mkdir -p "$work"
cd "$work"

if [ ! -d files ]; then
  # The same archive that this machine has its packages from, with its sources.
  mkdir -p apt/parts apt/lists/partial unpacked
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >apt/parts/src.list || true
  for f in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$f" ] || sed 's/^Types: .*/Types: deb-src/' "$f" >"apt/parts/$(basename "$f")"
  done
  options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/apt/parts" -o "Dir::State::lists=$work/apt/lists" -o APT::Sandbox::User=root)
  apt-get -qq "${options[@]}" update
  for source in $sources; do
    echo "fetching the sources of $source" >&2
    apt-get -qq "${options[@]}" source --download-only "$source"
  done
  for archive in *.orig.tar.*; do
    case $archive in *.asc) ;; *) tar xf "$archive" -C unpacked ;; esac
  done
  mkdir -p files.new
  find unpacked -iname '*.pdf' -type f -size +0 -print0 | while IFS= read -r -d '' f; do
    cp "$f" "files.new/$(sha256sum "$f" | cut -c1-16).pdf"
  done
  rm -rf unpacked ./*.orig.tar.* ./*.debian.tar.* ./*.dsc apt
  mv files.new files
fi

export SIGNBUS_KEY_PASSPHRASE=corpus
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj '/CN=Anna' \
  -addext keyUsage=critical,digitalSignature,nonRepudiation 2>/dev/null
cat cert.pem >>key.pem
rm -rf signed && mkdir signed
: >results
check() { timeout 60 qpdf --check "$1" >/dev/null 2>&1 && echo flawless || echo damaged; }

count=$(ls files | wc -l)
n=0
for f in files/*.pdf; do
  out=signed/${f##*/}
  n=$((n + 1))
  [ ! -t 2 ] || printf '\r%d of %d' "$n" "$count" >&2
  before=$(check "$f")
  if refusal=$(timeout 60 "$signbus" sign "$f" -o "$out" --key key.pem 2>&1 >/dev/null); then
    after=$(check "$out")
    [ "$(head -c "$(stat -c %s "$f")" "$out" | cmp - "$f" && echo same)" = same ] || after=altered
    poppler=$(timeout 60 pdfsig -nocert "$out" 2>/dev/null | grep -c 'Signature is Valid' || true)
    [ "$poppler" -gt 0 ] || after="$after, not valid for poppler"
    # Signatures that were there before are by people whom nobody here trusts.
    { timeout 60 "$signbus" --json verify "$out" --ca cert.pem 2>/dev/null || true; } | grep -q '"subject":"CN=Anna"[^}]*"intact":true,"trusted":true' || after="$after, not valid for signbus"
    echo "$before|signed, then $after" >>results
  else
    echo "$before|refused: $(sed -n '1s/^signbus: \([A-Z_]*\):.*/\1/p' <<<"$refusal")" >>results
  fi
done
[ ! -t 2 ] || printf '\r' >&2
sort results | uniq -c
if grep -qE '^flawless\|signed, then .*(damaged|altered|not valid)|\|refused: $|altered' results; then
  echo 'A file that was flawless is not so any more, or is not validly signed; or a refusal has no code.' >&2
  exit 1
fi
