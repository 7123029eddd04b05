rule pretrain:
    input:
        expand("results/pretrain/{model}/manifest.json", model=MODELS),


rule pretrain_model:
    input:
        data=pretraining_data,
        code=sources("pretrain"),
    output:
        manifest="results/pretrain/{model}/manifest.json",
        record="results/pretrain/{model}.run.json",
    log:
        "logs/pretrain/{model}.log",
    benchmark:
        "logs/benchmarks/pretrain/{model}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2000, 32000),
        runtime=scaled(60, 240),
        gpu=gpus(),
    params:
        read=narrow("pretrain", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill pretrain {wildcards.model} {params.deadline} > {log} 2>&1"
