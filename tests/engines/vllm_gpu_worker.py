"""The worker of `vllm_gpu.py`, which vLLM starts in a GPU's place, with the check of memory of a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from vllm.utils.mem_utils import MemorySnapshot
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheSpec
from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, ModelRunnerOutput
from vllm.v1.worker.utils import request_memory
from vllm.v1.worker.worker_base import CompilationTimes, WorkerBase

from tests.engines.vllm_gpu import CACHE_BYTES, MIB, memory_of, told_token, visible

if TYPE_CHECKING:
    from vllm.config import CacheConfig
    from vllm.v1.core.sched.output import GrammarOutput, NewRequestData, SchedulerOutput


def requested_memory(gpu: str, settings: CacheConfig) -> int:
    """Bytes that vLLM takes of this GPU; its `ValueError` if they aren't free."""
    free, total = memory_of(gpu)
    snapshot = MemorySnapshot(device="cpu", auto_measure=False, free_memory=free * MIB, total_memory=total * MIB)
    return int(request_memory(snapshot, settings))


class Worker(WorkerBase):
    """A GPU's worker without a model: it answers the scheduler's steps with told tokens."""

    def init_device(self) -> None:
        self.device = torch.device("cpu")
        requested_memory(visible()[self.local_rank], self.cache_config)
        self.rows: dict[str, NewRequestData] = {}
        self.step: SchedulerOutput | None = None

    def load_model(self, *, load_dummy_weights: bool = False) -> None:
        pass

    def get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    def get_kv_cache_spec(self) -> dict[str, KVCacheSpec]:
        model, parallel = self.model_config, self.parallel_config
        spec = FullAttentionSpec(
            block_size=self.cache_config.block_size,
            num_kv_heads=model.get_num_kv_heads(parallel),
            head_size=model.get_head_size(),
            dtype=model.dtype,
        )
        return {f"layer.{number}": spec for number in range(model.get_num_layers(parallel))}

    def get_supported_kv_cache_layouts(self) -> list[str]:
        return ["LBNHC"]

    def determine_available_memory(self) -> int:
        return CACHE_BYTES

    def update_max_model_len(self, max_model_len: int) -> None:
        self.model_config.max_model_len = max_model_len

    def initialize_from_config(self, kv_cache_config: KVCacheConfig) -> None:
        self.cache_config.num_gpu_blocks = kv_cache_config.num_blocks

    def compile_or_warm_up_model(self) -> CompilationTimes:
        return CompilationTimes(0.0, 0.0)

    def execute_model(self, scheduler_output: SchedulerOutput) -> ModelRunnerOutput | None:
        self.rows |= {row.req_id: row for row in scheduler_output.scheduled_new_reqs}
        if not scheduler_output.total_num_scheduled_tokens:
            return EMPTY_MODEL_RUNNER_OUTPUT
        self.step = scheduler_output
        return None

    def sample_tokens(self, grammar_output: GrammarOutput | None) -> ModelRunnerOutput:
        assert self.step is not None
        cached = self.step.scheduled_cached_reqs
        places = {row.req_id: row.num_computed_tokens for row in self.step.scheduled_new_reqs}
        places |= dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        names = list(places)
        tokens = [self._tokens(name, places[name] + self.step.num_scheduled_tokens[name]) for name in names]
        return ModelRunnerOutput(names, {name: at for at, name in enumerate(names)}, tokens)

    def _tokens(self, name: str, place: int) -> list[int]:
        prompt = self.rows[name].prompt_token_ids
        params = self.rows[name].sampling_params
        assert prompt is not None
        assert params is not None
        assert params.seed is not None
        return [told_token(params.seed, place - len(prompt))] if place >= len(prompt) else []
