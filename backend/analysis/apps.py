from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "backend.analysis"

    def ready(self) -> None:
        """Every process knows which detectors it could load."""
        from backend.analysis import detectors

        detectors.configure_engine()
