#!/bin/sh
# The comparisons of docs/study-small.md, and `gsm8k` of docs/study.md, on STUDY_MODEL or Qwen's:
# `sh benchmarks/study/run.sh NAME…`; each goes on where it stopped.
set -eu
cd "$(dirname "$0")"
runs=$(cd ../../rounds && pwd)

compare() {
  selfimprove compare "$@" --rounds-dir "$runs"
}

for name in "$@"; do
  case $name in
    selection) compare rft.toml upft.toml modal.toml consistent.toml consistent-full.toml verified.toml rollout.toml \
      rollout-agreement.toml sft.toml --seeds 3 --rounds 1 --name selection ;;
    rollouts) compare rollout.toml rollout-unshrunk.toml rollout-pooled.toml rollout-weighted.toml \
      --seeds 3 --rounds 1 --name rollouts ;;
    length) compare verified.toml --vary prefixes.length=4,8,16,32,full --set prefixes.structure_ratio=0 --seeds 3 \
      --rounds 1 --name length ;;
    crossed) compare verified.toml --vary prefixes.length=4,16 --vary prefixes.structure_ratio=0.1,0.3 --seeds 3 \
      --rounds 1 --name crossed ;;
    settings) compare rft-one-epoch.toml v16-one-epoch.toml v12-one-epoch.toml v8-p30.toml v8-p50.toml v8-template.toml \
      v8-eos.toml v8-template-eos.toml rft-rate-5e-5.toml rft-rate-5e-4.toml --seeds 3 --rounds 1 --name settings ;;
    sampling) compare rft-t04.toml rft-t10.toml rft-rows-256.toml --seeds 3 --rounds 1 --name sampling ;;
    modal) compare modal-512-8.toml modal-512-16.toml --seeds 3 --rounds 1 --name modal ;;
    placebo) compare rft.toml upft.toml modal.toml consistent.toml verified.toml v16-one-epoch.toml rollout.toml \
      rollout-agreement.toml sft.toml --set gate.placebo=true --set problems.heldout_size=512 --seeds 2 --rounds 1 \
      --name placebo ;;
    fractions) compare rft-fractions.toml v16-fractions.toml --seeds 3 --rounds 1 --name fractions ;;
    gcd) compare rft-gcd.toml v16-gcd.toml modal-gcd.toml --seeds 3 --rounds 1 --name gcd ;;
    margins) compare rft.toml upft.toml verified.toml sft.toml v8-eos.toml rft-rate-5e-5.toml modal.toml \
      rft-rate-5e-4.toml consistent.toml v8-p50.toml v16-one-epoch.toml --set problems.heldout_size=512 \
      --set problems.sealed_size=256 --seeds 1 --rounds 1 --name margins --margin ;;
    demo) compare ../../selfimprove/recipes/demo.toml --seeds 5 --rounds 2 --name demo ;;
    gsm8k) compare gsm8k/rft.toml gsm8k/upft.toml gsm8k/agreement.toml gsm8k/verified-64.toml \
      gsm8k/rft-two.toml --seeds 1 --rounds 1 --name gsm8k \
      --model "${STUDY_MODEL:-$(cd ../.. && python -m benchmarks.study.qwen)}" ;;
    *) echo "no comparison is called $name" >&2; exit 2 ;;
  esac
done
