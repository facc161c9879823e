"""The picture: a curve, a map and two images, from labelled arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["centre_and_width", "draw"]

TYPE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 13,
}


def centre_and_width(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Centre and full width at half maximum of one peak over a flat background.

    Parameters
    ----------
    x, y : ndarray of shape (points,)
        ``x`` ascending.

    Returns
    -------
    (float, float)
        In the unit of ``x``.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 601)
    >>> centre, width = centre_and_width(x, 2 + np.exp(-((x - 0.5) ** 2) / 2))
    >>> round(centre, 2), round(width, 1)
    (0.5, 2.4)
    """
    height = y - np.median(np.sort(y)[: max(3, len(y) // 4)])
    half = height.max() / 2
    above = np.flatnonzero(height >= half)
    first, last = above[0], above[-1]
    left = x[0] if first == 0 else np.interp(half, height[first - 1 : first + 1], x[first - 1 : first + 1])
    right = x[-1] if last == len(x) - 1 else np.interp(-half, -height[last : last + 2], x[last : last + 2])
    return float((left + right) / 2), float(right - left)


def draw(
    path: Path,
    *,
    curve: xr.Dataset,
    grid: xr.Dataset,
    spot: xr.DataArray,
    pixel: float,
    blob: xr.DataArray,
    units: dict[str, str],
    position: float,
) -> None:
    """Save the figure.

    Parameters
    ----------
    path : Path
        Of the PNG file.
    curve : Dataset
        ``diode`` against ``sample_x``.
    grid : Dataset
        ``diode`` over ``sample_x`` and ``sample_y``.
    spot : DataArray of shape (y, x)
        One frame of the camera.
    pixel : float
        The camera's pixel, in millimetres.
    blob : DataArray of shape (y, x)
        One frame of the blob detector.
    units : dict
        Data key -> unit.
    position : float
        ``sample_x`` when the frame was taken.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(TYPE):
        figure, axes = plt.subplots(2, 2, figsize=(10.5, 7.8), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
        figure.suptitle("Six simulated runs, read back from their catalogs", x=0.012, ha="left")
        _curve(axes[0, 0], curve, units)
        _map(figure, axes[0, 1], grid, units)
        _spot(figure, axes[1, 0], spot, pixel, position, units)
        _blob(figure, axes[1, 1], blob)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _label(key: str, units: dict[str, str]) -> str:
    return f"{key} ({units[key]})"


def _curve(axes: Any, curve: xr.Dataset, units: dict[str, str]) -> None:
    x, y = curve["sample_x"].to_numpy(), curve["diode"].to_numpy()
    centre, width = centre_and_width(x, y)
    axes.axvspan(centre - width / 2, centre + width / 2, color="tab:blue", alpha=0.10, lw=0)
    axes.axvline(centre, color="tab:blue", lw=1, ls="--")
    axes.plot(x, y, "o-", color="tab:blue", ms=3.2, lw=1.1)
    axes.annotate(
        f"centre {centre:.2f} {units['sample_x']}\nFWHM {width:.2f} {units['sample_x']}",
        (centre + width / 2, float(y.max()) * 0.9),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
    )
    axes.set(
        title="Alignment scan", xlabel=_label("sample_x", units), ylabel=_label("diode", units), xlim=(x[0], x[-1])
    )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)


def _map(figure: Any, axes: Any, grid: xr.Dataset, units: dict[str, str]) -> None:
    # A snaked grid: the rows come in turn from the left and from the right, so the places say where a point goes.
    x, column = np.unique(grid["sample_x"].to_numpy().round(6), return_inverse=True)
    y, row = np.unique(grid["sample_y"].to_numpy().round(6), return_inverse=True)
    seen = np.full((len(y), len(x)), np.nan)
    seen[row, column] = grid["diode"].to_numpy()
    mesh = axes.pcolormesh(x, y, seen, cmap="viridis", shading="nearest", rasterized=True)
    figure.colorbar(mesh, ax=axes, label=_label("diode", units), pad=0.02)
    axes.set(title="Grid scan", xlabel=_label("sample_x", units), ylabel=_label("sample_y", units))


def _spot(figure: Any, axes: Any, spot: xr.DataArray, pixel: float, position: float, units: dict[str, str]) -> None:
    height, width = spot.shape
    extent = (-width / 2 * pixel, width / 2 * pixel, height / 2 * pixel, -height / 2 * pixel)
    image = axes.imshow(spot.to_numpy(), cmap="magma", extent=extent, interpolation="nearest", aspect="auto")
    figure.colorbar(image, ax=axes, label="camera_image (counts)", pad=0.02)
    axes.set(
        title=f"Camera (AD_HDF5), sample_x = {position:.1f} {units['sample_x']}",
        xlabel="camera x (mm)",
        ylabel="camera y (mm)",
    )


def _blob(figure: Any, axes: Any, blob: xr.DataArray) -> None:
    image = axes.imshow(blob.to_numpy(), cmap="magma", interpolation="nearest", aspect="auto")
    figure.colorbar(image, ax=axes, label="blob (counts)", pad=0.02)
    axes.set(title="Blob detector (stream_resource)", xlabel="x (pixel)", ylabel="y (pixel)")
