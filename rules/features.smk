rule features:
    input:
        expand(
            "results/features/{encoder}/{dataset}/manifest.json",
            encoder=ENCODERS,
            dataset=IMAGE_SETS,
        ),


rule features_set:
    input:
        encoder="results/pretrain/{encoder}/manifest.json",
        images="results/download/{dataset}/manifest.json",
        code=sources("features"),
    output:
        manifest="results/features/{encoder}/{dataset}/manifest.json",
        record="results/features/{encoder}/{dataset}.run.json",
    log:
        "logs/features/{encoder}/{dataset}.log",
    benchmark:
        "logs/benchmarks/features/{encoder}/{dataset}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2000, 24000),
        runtime=scaled(30, 720),
        gpu=gpus(),
    params:
        read=narrow("features", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill features {wildcards.encoder} {wildcards.dataset} {params.deadline} > {log} 2>&1"
