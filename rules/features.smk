rule features:
    input:
        expand(
            "results/features/{encoder}/{dataset}/manifest.json",
            encoder=ENCODERS,
            dataset=IMAGE_SETS,
        ),


rule features_mad:
    input:
        expand(
            "results/features/clip/{dataset}/manifest.json",
            dataset=REGION_SETS,
        ),
        TEXT_FEATURES,


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
    # the students, the longest jobs of all, are grounded on these regions
    priority: lambda wildcards: 2 * (wildcards.dataset == "vg")
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2000, 24000),
        runtime=scaled(30, 720),
        gpu=gpus(),
    params:
        read=narrow("features", "pretrain.student.regions", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill features {wildcards.encoder} {wildcards.dataset} {params.deadline} > {log} 2>&1"


use rule features_set as features_mad_set with:
    wildcard_constraints:
        encoder="clip",
        dataset="|".join(REGION_SETS),


rule features_texts:
    input:
        encoder="results/pretrain/{encoder}/manifest.json",
        texts=expand("results/download/{dataset}/manifest.json", dataset=TEXT_SETS),
        code=sources("features_texts"),
    output:
        manifest="results/features/{encoder}/texts/manifest.json",
        record="results/features/{encoder}/texts.run.json",
    log:
        "logs/features/{encoder}/texts.log",
    benchmark:
        "logs/benchmarks/features/{encoder}/texts.tsv"
    wildcard_constraints:
        encoder="|".join(TEXT_ENCODERS),
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2000, 24000),
        runtime=scaled(30, 240),
        gpu=gpus(),
    params:
        read=narrow("features", "split.mad.tagged", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill features {wildcards.encoder} texts {params.deadline} > {log} 2>&1"
