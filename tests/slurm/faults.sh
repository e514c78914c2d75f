#!/usr/bin/env bash
# faults.sh SCENARIO SHARD OUT: writes ten lines to OUT, whole or not at all, after what the
# scenario has in store for a first attempt, by its place in the array.
set -euo pipefail
scenario=$1 shard=$2 out=$3
task=${SLURM_ARRAY_TASK_ID:-0}
mkdir -p attempts
echo "$task" >> "attempts/$shard"
if [ "$(wc -l < "attempts/$shard")" = 1 ]; then
    case $scenario-$task in
        mixed-1) sleep 20 ;;            # slower than its siblings by more than latency-wait
        mixed-2) sleep 8; exit 1 ;;     # fails while the first is at work
        mixed-3) touch waiting; sleep 300 ;;  # is cancelled from outside
        mixed-4) sleep 300 ;;           # runs into its time limit
        slow-*) touch "started.$task"; sleep 12 ;;
        uneven-*) sleep $((10 * (task - 1))) ;;
        broken-2) exit 1 ;;
        *) ;;
    esac
fi
if [ "$scenario-$task" = broken-0 ]; then exit 1; fi
for line in 1 2 3 4 5 6 7 8 9 10; do echo "$shard $line"; done > "$out.part"
mv "$out.part" "$out"
