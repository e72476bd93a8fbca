"""Two models trained in a pool of processes are what they are in this one: python tests/long/pool.py spawn|fork|forkserver"""

import multiprocessing
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from helpers.processes import train

if __name__ == "__main__":
    mine = [train(seed) for seed in (0, 1)]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(train, [0, 1]) == mine
    print("the same")
