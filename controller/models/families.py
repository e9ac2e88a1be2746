"""The family of an architecture by its name, and the well-known ones."""

import re

MAKERS = {"dm", "eca", "ese", "gc", "legacy", "nf", "test", "tf", "wide"}
"""First words that say who trained a network or how it was changed, not what it is."""

OF_TWO_WORDS = ("efficientnet_lite", "inception_next", "mobilenet_edgetpu", "tiny_vit", "coat_lite")
"""Families whose first word alone names another one."""

SIZE = re.compile(r"(?<!v)\d+(?:[a-z]|tn|ts)?\d*$")
"""What a first word ends in when it counts layers: 18 in resnet18, 50d in resnet50d; not the v2 of a version."""

POPULAR = (
    "convnext_atto",
    "convnext_tiny",
    "deit_tiny_patch16_224",
    "densenet121",
    "edgenext_xx_small",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_lite0",
    "fastvit_t8",
    "ghostnet_100",
    "lcnet_050",
    "mnasnet_100",
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv3_small_050",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "mobilevit_xxs",
    "regnety_002",
    "repvgg_a0",
    "resnet18",
    "resnet34",
    "resnet50",
    "tf_efficientnet_lite0",
    "vit_tiny_patch16_224",
)
"""Networks that people who deploy to small boards ask for first; named by hand."""


def family(name: str) -> str:
    """Return the family of the network `name`: resnet for resnet18, efficientnet_lite for tf_efficientnet_lite0."""
    words = name.split("_")
    while len(words) > 1 and words[0] in MAKERS:
        words = words[1:]
    for pair in OF_TWO_WORDS:
        if "_".join(words).startswith(pair):
            return pair
    return SIZE.sub("", words[0]) or words[0]
