"""Checks of an answer's form: a pattern, a JSON schema. They run nothing of the answer's."""

import json
import re
from collections.abc import Mapping
from typing import Any

from outlay.engines.checker.inside.told import Check, Refused, shown


def regex(setup: Mapping[str, Any]) -> Check:
    """Whether the pattern is found in the answer."""
    pattern = re.compile(setup["argument"])

    def verdict(answer: str) -> dict[str, Any]:
        if pattern.search(answer):
            return {"passed": True}
        return {"passed": False, "message": f"the answer does not match {pattern.pattern}"}

    return Check(["answer"], verdict)


def schema(setup: Mapping[str, Any]) -> Check:
    """Whether the answer, or the JSON in its text, is valid by the schema in a file.

    Raises:
        Refused: The library is not installed, or the file holds no schema.
    """
    try:
        import jsonschema
        import referencing
    except ImportError:
        raise Refused("a schema needs the jsonschema package; pip install 'outlay[schema]'") from None
    from jsonschema.exceptions import SchemaError, best_match

    from outlay.answers import json as in_text

    try:
        with open(setup["argument"], encoding="utf-8") as file:
            rules = json.load(file)
        kind = jsonschema.validators.validator_for(rules, default=jsonschema.Draft202012Validator)
        kind.check_schema(rules)
    except json.JSONDecodeError as wrong:
        raise Refused(f"{setup['argument']} is not JSON: {wrong}; mend the file") from None
    except SchemaError as wrong:
        raise Refused(f"{setup['argument']} is no JSON schema: {wrong.message}; mend the file") from None
    # A registry of our own: without one a remote $ref would be fetched from the network.
    validator = kind(rules, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)

    def verdict(answer: str, text: str) -> dict[str, Any]:
        try:
            value = _value(answer, in_text.extract(text))
            error = best_match(validator.iter_errors(value))
        except RecursionError:
            return {"passed": False, "message": "the answer is nested too deeply"}
        except ValueError as wrong:
            return {"passed": False, "message": f"the answer is not JSON: {wrong}"}
        except referencing.exceptions.Unresolvable as missing:
            return {"error": f"the schema refers to {missing.ref}, which it does not hold; put it into $defs"}
        if error is None:
            return {"passed": True}
        return {"passed": False, "message": f"at {error.json_path}: {shown(error.message, str)}"}

    return Check(["answer", "text"], verdict)


def _value(answer: str, found: str | None) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        if found is None:
            raise
        return json.loads(found)
