"""Several trainings on one GPU, each a process with its share: images per second of all together.

`python benchmarks/gpu_shares.py [--processes 1 2 4 8] [--steps 400]`: ResNet-20 of width 16 at 32
pixels, batch 128, bf16. Each process may take the share of the memory that is its part.
"""

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import torch

from search.drive.machine import cap_gpu_memory
from search.drive.pace import made_up
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet
from stacnet.train import Trainer

BATCH = 128
SPEC = resnet(20, width=16, input_size=32, classes=100)
RECIPE = Protocol(
    data=ScaleSignal(), epochs=2, batch_size=BATCH, flip=True, crop_padding=4, precision="bf16"
)


def train(steps: int, share: float, barrier: Barrier) -> None:
    """One epoch to warm up, and one that all begin together."""
    cap_gpu_memory(share)
    trainer = Trainer(SPEC, RECIPE, made_up(SPEC, num=BATCH, steps=steps), device="cuda")
    trainer.run()
    torch.cuda.synchronize()
    barrier.wait()
    trainer.run()
    torch.cuda.synchronize()
    barrier.wait()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=400)
    chosen = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, {chosen.steps} steps of {BATCH} images each")
    print("| trainings at once | images/s together | by one alone |")
    print("|---:|---:|---:|")
    spawn, alone = multiprocessing.get_context("spawn"), 0.0
    for num in chosen.processes:
        barrier = spawn.Barrier(num + 1)
        given = (chosen.steps, 1 / num, barrier)
        running = [spawn.Process(target=train, args=given, daemon=True) for _ in range(num)]
        for process in running:
            process.start()
        barrier.wait(timeout=120)
        start = time.perf_counter()
        barrier.wait(timeout=120)
        together = num * chosen.steps * BATCH / (time.perf_counter() - start)
        alone = alone or together / num
        for process in running:
            process.join()
        print(f"| {num} | {together:,.0f} | {together / alone:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
