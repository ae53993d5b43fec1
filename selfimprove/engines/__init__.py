"""The engines: each module holds one `Sampler`, and is imported only when that engine is chosen."""
