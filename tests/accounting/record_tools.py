"""Ask torchinfo, fvcore and ptflops how much the networks of `networks.COUNTED` compute, and keep it in tools.json.

They are no dependencies: in an environment with PyTorch, ``pip install torchinfo==1.8.0 fvcore==0.1.5.post20221221
ptflops==0.7.5``, then ``python -m tests.accounting.record_tools``.
"""

import importlib.metadata
import io
import json
import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from foveal import layers as L
from foveal.geometry import Window
from tests.accounting.networks import COUNTED

RECORD = Path(__file__).with_name("tools.json")


class Twin(nn.Module):
    """The same network of PyTorch's modules."""

    def __init__(self, graph):
        super().__init__()
        self.graph, made = graph, {}
        for node in graph.nodes:
            if id(node.layer) not in made:
                made[id(node.layer)] = module(node.layer, graph.input_shapes(node.name)[0])
            setattr(self, node.name.replace("/", "_"), made[id(node.layer)])

    def forward(self, x):
        values = {"input": x}
        for node in self.graph.nodes:
            given = [values[name] for name in node.inputs]
            if isinstance(node.layer, L.Add):
                y = sum(given[1:], start=given[0])
            elif isinstance(node.layer, L.Concat):
                y = torch.cat(given, dim=1)
            else:
                y = getattr(self, node.name.replace("/", "_"))(given[0])
            assert tuple(y.shape[1:]) == node.shape, f"{node.name}: {tuple(y.shape)}, {node.shape}"
            values[node.name] = y
        return values[self.graph.output]


def module(layer, given):
    axes = len(given) - 1

    def of(name, *arguments, **named):
        return getattr(nn, f"{name}{axes}d")(*arguments, **named)

    if isinstance(layer, L.Convolution):
        window = Window.resolve(given[1:], layer.kernel, layer.stride, layer.padding, layer.dilation)
        conv = of("Conv", given[0], layer.filters, window.kernel, window.stride, dilation=window.dilation,
                  groups=layer.groups, bias=layer.use_bias)  # fmt: skip
        sides = [n for pair in reversed(window.padding) for n in pair]
        if len(set(window.padding)) == 1 and len(set(window.padding[0])) == 1:
            conv.padding = tuple(before for before, _ in window.padding)
            return conv
        return nn.Sequential(of("ConstantPad", sides, 0.0), conv)
    if isinstance(layer, L.ConvTranspose):
        how = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.use_bias, layer.dilation
        return of("ConvTranspose", given[0], layer.filters, layer.kernel, *how)
    if isinstance(layer, L.MaxPool | L.AvgPool):
        kind = type(layer).__name__
        return of(kind, layer.kernel, layer.stride, layer.padding, ceil_mode=layer.rounding == "ceil")
    if isinstance(layer, L.Affine):
        linear = nn.Linear(torch.Size(given).numel(), layer.units, bias=layer.use_bias)
        return nn.Sequential(nn.Flatten(), linear) if axes else linear
    if isinstance(layer, L.BatchNorm):
        return of("BatchNorm", given[0]) if axes else nn.BatchNorm1d(given[0])
    if isinstance(layer, L.LocalResponseNorm):
        return nn.LocalResponseNorm(layer.size, layer.alpha * layer.size, layer.beta, layer.k)
    plain = {L.GlobalAvgPool: lambda: of("AdaptiveAvgPool", 1), L.GlobalMaxPool: lambda: of("AdaptiveMaxPool", 1),
             L.Softmax: lambda: nn.Softmax(1), L.LeakyReLU: lambda: nn.LeakyReLU(layer.slope),
             L.Add: nn.Identity, L.Concat: nn.Identity}  # fmt: skip
    return plain[type(layer)]() if type(layer) in plain else getattr(nn, type(layer).__name__)()


def count(graph):
    """Return what the three tools say."""
    from fvcore.nn import FlopCountAnalysis
    from ptflops import get_model_complexity_info
    from torchinfo import summary

    twin, shape = Twin(graph).eval(), graph.input_shape
    flops = (
        FlopCountAnalysis(twin, torch.zeros(1, *shape)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    )
    info = summary(twin, input_size=(1, *shape), verbose=0)
    how = {"as_strings": False, "print_per_layer_stat": False, "ost": io.StringIO(), "backend": "pytorch"}
    macs, parameters = get_model_complexity_info(twin, shape, **how)
    return {"torchinfo": int(info.total_mult_adds), "fvcore": int(flops.total()), "ptflops": int(macs),
            "parameters": {"torchinfo": int(info.total_params), "ptflops": int(parameters)}}  # fmt: skip


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "torchinfo", "fvcore", "ptflops")}
    record = {"versions": versions, "counts": {name: count(make()) for name, make in COUNTED.items()}}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
