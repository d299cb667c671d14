"""Recognises files of other kinds that go by the AppSpec's name, so that an error can say what they are."""

from agent.core.appspec.nodes import Mapping, Node, Scalar, Sequence

_TARGET_TYPES = {
    "AWS::ECS::Service": "an AppSpec for Amazon ECS deployments",
    "AWS::Lambda::Function": "an AppSpec for AWS Lambda deployments",
}
_CLOUDFORMATION = "an AWS CloudFormation template"
_BUILDSPEC = "an AWS CodeBuild build specification"


def other_dialect(root: Mapping) -> str | None:
    """Return what kind of file this is if it is none for EC2 or on-premises hosts, None when nothing tells."""
    keys = {key.value: value for key, value in root.pairs if isinstance(key, Scalar) and isinstance(key.value, str)}
    if "os" in keys:
        return None
    if "AWSTemplateFormatVersion" in keys or "Transform" in keys:
        return _CLOUDFORMATION
    if "phases" in keys:
        return _BUILDSPEC
    resources = keys.get("Resources")
    if isinstance(resources, Mapping):
        return _target_dialect([resources]) or _CLOUDFORMATION
    return _target_dialect(list(resources.items)) if isinstance(resources, Sequence) else None


def _target_dialect(resources: list[Node]) -> str | None:
    """Look for `Type` of a list's entries (name: {Type: ..., Properties: ...})."""
    bodies = (body for entry in resources if isinstance(entry, Mapping) for _, body in entry.pairs)
    types = (_type_of(body) for body in bodies if isinstance(body, Mapping))
    return next((_TARGET_TYPES[found] for found in types if found in _TARGET_TYPES), None)


def _type_of(body: Mapping) -> str:
    return next(
        (str(value.value) for key, value in body.pairs if _is_type(key) and isinstance(value, Scalar)),
        "",
    )


def _is_type(key: Node) -> bool:
    return isinstance(key, Scalar) and key.value == "Type"
