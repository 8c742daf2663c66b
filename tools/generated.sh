#!/bin/bash
# The sample output in generated/, made again: byte for byte the same on any host.
#
# usage: generated.sh [FOLDER]        FOLDER instead of generated/
# Environment: NET2C instead of build/net2c
set -euo pipefail
cd "$(dirname "$0")/.."
net2c=${NET2C:-build/net2c}
folder=${1:-generated}
weights=$(mktemp)
trap 'rm -f "$weights"' EXIT

# AlexNet's C does not depend on the weights' values, and its blob would be 244 MB: seeded, left out.
$net2c weights init -q models/alexnet.yaml --seed 1 -o "$weights"
$net2c compile -q models/alexnet.yaml -w "$weights" --isa=avx512 -o "$folder/alexnet_gen"
rm "$folder/alexnet_gen.n2w"
$net2c compile -q models/lenet5.yaml -w models/lenet5.safetensors -o "$folder/lenet5_gen"
