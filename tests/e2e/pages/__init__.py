from tests.support import prerequisites

prerequisites.require("browser")
