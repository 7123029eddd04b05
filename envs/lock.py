"""Write requirements.lock and requirements-cuda.lock from the running environment (`make lock`)."""

import re
from importlib import metadata
from pathlib import Path

# nvidia-ml-py is pure Python and asked for by dvclive on every platform.
CUDA_ONLY = re.compile(r"(nvidia-(?!ml-py)|triton$|cuda-)")
NOT_LOCKED = {"pip", "vldistill"}
HEAD = """\
# Every package of the tested environment, pinned; made with `make lock` on Linux x86-64, Python 3.11.
# Installs on Linux (with or without a GPU) and macOS.
# Torch without CUDA on Linux: `make .venv TORCH_INDEX=https://download.pytorch.org/whl/cpu`.
# What only torch's CUDA builds ask for is pinned in the constraints file, so that a CPU build does not fetch it.
-c requirements-cuda.lock
"""
CUDA_HEAD = """\
# Constraints, read by requirements.lock: installed only where the chosen build of torch requires them.
"""


def installed() -> dict[str, str]:
    """Name -> public version (no local part: 2.14.1+cpu and 2.14.1+cu130 are the same release)."""
    found = {re.sub(r"[-_.]+", "-", d.name).lower(): d.version.split("+")[0] for d in metadata.distributions()}
    return {name: found[name] for name in sorted(found) if name not in NOT_LOCKED}


def main() -> None:
    """Write both files beside this script."""
    pins = installed()
    everywhere = [f"{name}=={version}\n" for name, version in pins.items() if not CUDA_ONLY.match(name)]
    cuda = [f'{n}=={v} ; platform_system == "Linux"\n' for n, v in pins.items() if CUDA_ONLY.match(n)]
    folder = Path(__file__).parent
    (folder / "requirements.lock").write_text(HEAD + "".join(everywhere), encoding="utf-8")
    if cuda:  # an environment with a CPU build knows nothing of them: keep what is there
        (folder / "requirements-cuda.lock").write_text(CUDA_HEAD + "".join(cuda), encoding="utf-8")


if __name__ == "__main__":
    main()
