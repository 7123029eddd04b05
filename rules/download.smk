rule download:
    input:
        expand("results/download/{dataset}/manifest.json", dataset=DATASETS),


rule download_mad:
    input:
        expand("results/download/{dataset}/manifest.json", dataset=MAD_DATASETS),


rule download_set:
    input:
        registry="data/registry.csv",
        code=sources("download"),
    output:
        manifest="results/download/{dataset}/manifest.json",
        record="results/download/{dataset}.run.json",
    log:
        "logs/download/{dataset}.log",
    benchmark:
        "logs/benchmarks/download/{dataset}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000, 8000),
        runtime=scaled(20, 1440),
    params:
        read=narrow(
            "download.source", "download.resize", "download.least_found", "world"
        ),
    shell:
        "vldistill download {wildcards.dataset} > {log} 2>&1"


use rule download_set as download_mad_set with:
    wildcard_constraints:
        dataset="|".join(MAD_DATASETS),
