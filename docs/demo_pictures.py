"""Draw the README's pictures from a run folder with saved iterates.

    csiq demo
    csiq recon csiq-demo/demo-scan.h5 --stop-on-plateau --coils 6 --save-iterates -o run
    python docs/demo_pictures.py run

``demo-curves.png`` is the run's own plot; ``demo-images.png`` shows its best phase before and after.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from csiq.io.volumes import read_complex_volumes
from csiq.report.record import read_record

HERE = Path(__file__).resolve().parent


def main(folder: Path) -> None:
    """Write both pictures beside this file."""
    shutil.copy(folder / "curves.png", HERE / "demo-curves.png")
    ranking = read_record(folder).ranking
    best = ranking.best_phase - 1 if ranking is not None and ranking.best_phase else 0
    before, _ = read_complex_volumes(folder / "iterates" / "iter-000.h5")
    after, attributes = read_complex_volumes(folder / "volumes.h5")
    figure = Figure(figsize=(5.4, 5.6), layout="constrained")
    axes = figure.subplots(2, 2)
    titles = ("gridded", f"iteration {int(np.max(attributes['iteration']))}")
    for column, (title, volumes) in enumerate(zip(titles, (before, after), strict=True)):
        volume = np.abs(volumes[best])
        n = volume.shape[0]
        heart = volume[n // 4 : -n // 4, n // 4 : -n // 4, n // 4 : -n // 4]
        for row, plane in enumerate((volume[n // 2, ::-1], volume[::-1, n // 2])):
            axes[row, column].imshow(plane[:, ::-1], cmap="gray", vmin=0, vmax=np.percentile(heart, 99.8))
            axes[row, column].axis("off")
        axes[0, column].set_title(f"phase {best + 1}, {title}", fontsize=10)
    figure.savefig(HERE / "demo-images.png", dpi=70)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
