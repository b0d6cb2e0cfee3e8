#!/bin/sh
# Debian's free typefaces for `stac data prepare FOLDER --task letters`: installs, links them below FOLDER.
set -eu
folder=${1:?usage: glyph_fonts.sh FOLDER}
packages="fonts-adf-accanthis fonts-adf-baskervald fonts-adf-berenis fonts-adf-gillius
    fonts-adf-ikarius fonts-adf-irianis fonts-adf-libris fonts-adf-mekanus fonts-adf-oldania
    fonts-adf-romande fonts-adf-solothurn fonts-adf-switzera fonts-adf-tribun fonts-adf-universalis
    fonts-adf-verana fonts-aenigma fonts-averia-gwf fonts-averia-sans-gwf fonts-averia-serif-gwf
    fonts-breip fonts-courier-prime fonts-croscore fonts-dancingscript fonts-dkg-handwriting
    fonts-dustin fonts-ebgaramond fonts-firacode fonts-freefont-ttf fonts-georgewilliams fonts-lato
    fonts-sjfonts"

DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $packages
mkdir -p "$folder"
for package in $packages; do # only these, whatever else is installed: the checksum depends on them
    dpkg -L "$package" | grep -i '\.[ot]tf$' | while IFS= read -r file; do
        ln -sf "$file" "$folder/$package-$(basename "$file")"
    done
done
echo "$(ls "$folder" | wc -l) font files in $folder"
