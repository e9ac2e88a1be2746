"""Says in a sentence what a converter could not do, from whatever it raised."""

import re

from broker.errors import ArtifactError

OPERATOR = (
    re.compile(r"Exporting the operator '?(?:aten::|prims::|prim::)?([\w.:]+)'? to ONNX"),
    re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'"),
    re.compile(r"No decompositions registered for .*?<OpOverload\(op='([\w.]+)'"),
    re.compile(r"[Ll]owering not found: ([\w.]+)"),
    re.compile(r"failed to legalize operation '(?:tfl\.|vhlo\.|stablehlo\.)?([\w.]+)'"),
    re.compile(r"Converter is not implemented \(OperationDescription\(domain='[\w.]*', operation_type='(\w+)'"),
    re.compile(r"Could not find an implementation for (\w+)"),
    re.compile(r"Node number \d+ \((\w+)\) failed to (?:prepare|invoke)"),
    re.compile(r"unsupported operat(?:or|ion)s?:? '?\"?([\w.:]+)", re.IGNORECASE),
)
"""How each converter and runtime names an operator that it lacks."""

LONGEST = 200


def operator_in(said: str) -> str | None:
    """Return the operator that the message of a converter names as the one it cannot do."""
    return next((found[1] for pattern in OPERATOR if (found := pattern.search(said))), None)


def refused(converter: str, *errors: BaseException, hint: str = "") -> ArtifactError:
    """Return the error that says which operator `converter` lacks, or the first line of why it gave up."""
    texts = [str(error) for error in errors]
    operator = next((found for text in texts if (found := operator_in(text))), None)
    if operator:
        return ArtifactError(
            f"{converter} has no {operator}",
            code="unsupported_operator",
            hint=hint or "try another format, or a network without this operator",
            operator=operator,
            converter=converter,
        )
    why = next((line.strip() for text in texts for line in text.splitlines() if line.strip()), type(errors[0]).__name__)
    return ArtifactError(
        f"{converter} gave up: {why[:LONGEST]}",
        code="conversion_failed",
        hint=hint or "try another format or variant; the log has more",
        converter=converter,
    )
