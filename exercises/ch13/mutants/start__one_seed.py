# must trigger: all ranks draw the same masks
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    return build()
