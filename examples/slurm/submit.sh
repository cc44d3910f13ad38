#!/bin/bash
# Submit a cohort:  bash submit.sh MANIFEST.tsv OUTPUT [options of csiq cohort run]
# Submit it again when its time has run out: what is finished stays finished.
set -eu
manifest=${1:?usage: bash submit.sh MANIFEST.tsv OUTPUT [options of csiq cohort run]}
output=${2:?usage: bash submit.sh MANIFEST.tsv OUTPUT [options of csiq cohort run]}
here=$(dirname "$(readlink -f "$0")")

shift 2
csiq cohort run "$manifest" -o "$output" "$@" --dry-run
# workers of an earlier time must not find its address
rm -f "$output.scheduler"
job=$(sbatch --parsable "$here/cohort.sbatch" "$manifest" "$output" "$@")
workers=$(sbatch --parsable --dependency="after:$job" "$here/worker.sbatch" "$output")
echo "cohort: job $job; workers: job $workers; csiq cohort status $output"
