"""Package metadata and console scripts; tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "agent" / "version.py").read_text(), VERSION)  # one home for the version number

setup(
    name="deploy-agent",
    version=VERSION["__version__"],
    description="Host-side deployment agent for EC2 fleets: CodeDeploy bundles, installed as one transaction",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["agent", "agent.*"]),
    package_data={"agent": ["py.typed"]},
    install_requires=[
        "boto3>=1.36,<2",  # response_checksum_validation
        "click>=8.1,<9",
        "psutil>=5.9,<8",
        "PyYAML>=6.0.1,<7",
        "requests>=2.31,<3",
        "rich>=13.7,<16",
        "structlog>=24.1",
        "supervisor>=4.3,<5",
        "urllib3>=2.1,<3",  # read1
        "zstandard>=0.22,<1",
    ],
    extras_require={
        "dev": [
            "hypothesis>=6.100,<7",
            "jsonschema>=4.21,<5",
            "moto[s3,server]>=5.0,<6",
            "mypy>=2.0,<3",
            "pytest>=8.2,<10",
            "ruff>=0.17,<0.18",  # its format changes with the second number
            "types-jsonschema",
            "types-psutil",
            "types-PyYAML",
            "types-requests",
        ],
    },
    entry_points={
        "console_scripts": [
            "agentctl=agent.cli.main:main",
            "codedeploy-local=agent.cli.main:main",  # main() looks at the name it was started under
        ]
    },
)
