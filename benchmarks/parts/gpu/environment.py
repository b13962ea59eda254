"""The section that says where everything ran."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from parts.gpu.bench import Bench
from parts.gpu.nvml import card, clocks

_PACKAGES = (
    *("torch", "triton", "transformers", "peft", "numpy", "safetensors", "pydantic", "scipy"),
    *("scikit-learn", "opencv-python-headless", "nvidia-ml-py", "zeus", "tensorrt", "pytest"),
)


def describe(bench: Bench) -> None:
    """GPU, driver, clocks and versions."""
    from polymorph_ros.evaluation.machine import cores, cpu_model

    bench.add(
        {
            "cpu": cpu_model(),
            "cores": cores(),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in _PACKAGES},
            "cuda": torch.version.cuda,
        }
    )
    bench.save()
    if not bench.on_gpu:
        bench.say(f"{cpu_model()}, {cores()} cores, PyTorch {torch.__version__}; no GPU is used")
        return
    found = torch.cuda.get_device_properties(bench.device)
    bench.add(
        {
            "gpu": found.name,
            "capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "memory_mib": found.total_memory >> 20,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": {
                "matmul": torch.backends.cuda.matmul.allow_tf32,
                "cudnn": torch.backends.cudnn.allow_tf32,
            },
        }
    )
    bench.say(f"{found.name}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    bench.save()
    bench.results["card"] = card()
    bench.results["clocks_at_start"] = clocks()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
