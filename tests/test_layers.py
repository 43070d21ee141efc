"""The layers hold in the data too: a linter sees imports, not foreign keys named by text."""

from django.apps import apps

LAYERS = ("profiles", "segments", "campaigns", "integrations", "config")


def test_no_foreign_key_points_upward() -> None:
    upward = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for field in model._meta.get_fields(include_hidden=True)
        if field.is_relation and not field.auto_created and not isinstance(field.related_model, str | None)
        if field.related_model._meta.app_label in LAYERS
        and LAYERS.index(field.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]
    assert upward == []


def test_every_app_has_a_layer() -> None:
    ours = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}
    assert ours <= set(LAYERS)
