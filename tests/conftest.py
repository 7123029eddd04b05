"""Settings shared by all tests: no network, one thread a process, no colours, no test that fails on a busy machine."""

import os

from hypothesis import settings

# Before any test module imports torch or a Hugging Face library.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("NO_COLOR", "1")

settings.register_profile("vldistill", deadline=None)
settings.load_profile("vldistill")
