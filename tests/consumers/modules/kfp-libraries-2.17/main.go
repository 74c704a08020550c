// Opens bucket and database as Pipelines 2.17.0 does, with the libraries in the versions of its go.mod;
// Pipelines itself is served by no registry as a module that builds.
//
//	kfp-libraries put ROOT KEY PROVIDERS     the launcher: writes standard input below the pipeline root
//	kfp-libraries get ROOT KEY PROVIDERS     the launcher: prints it
//	kfp-libraries list ROOT KEY PROVIDERS    the launcher: prints the keys that begin with KEY
//	kfp-libraries head                       the API server's start: HeadBucket
//	kfp-libraries read KEY                   the API server: prints an object
//	kfp-libraries database                   the API server: prints the TLS version of its connection
//	kfp-libraries config FOLDER KEY ...      the API server: prints its settings as JSON, null where unset
//
// PROVIDERS is the text in the ConfigMap kfp-launcher. The API server's commands read its variables.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-sql-driver/mysql"
	"github.com/spf13/viper"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	switch strings.Join(arguments[:min(1, len(arguments))], "") + fmt.Sprint(len(arguments)) {
	case "put4", "get4", "list4":
		return launcher(ctx, arguments[0], arguments[1], arguments[2], arguments[3])
	case "head1":
		_, err := apiServer(ctx)
		return err
	case "read2":
		bucket, err := apiServer(ctx)
		if err != nil {
			return err
		}
		return show(ctx, bucket, arguments[1])
	case "database1":
		return database(ctx)
	}
	if len(arguments) > 2 && arguments[0] == "config" {
		return settingsOf(arguments[1], arguments[2:])
	}
	return fmt.Errorf("%q is no command", arguments)
}

// What kfp-launcher says of S3 (kubeflow/pipelines 2.17.0, backend/src/v2/config/s3.go, S3ProviderConfig).
type providers struct {
	S3 struct {
		Default struct {
			Endpoint    string `json:"endpoint"`
			Region      string `json:"region"`
			DisableSSL  bool   `json:"disableSSL"`
			Credentials struct {
				FromEnv bool `json:"fromEnv"`
			} `json:"credentials"`
		} `json:"default"`
	} `json:"s3"`
}

// backend/src/v2/objectstore/object_store.go, OpenBucket and newS3Client: endpoint and region count with
// fromEnv too, which leaves the credentials to the environment.
func launcher(ctx context.Context, command, root, key, text string) error {
	var given providers
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return err
	}
	chosen := given.S3.Default
	if !chosen.Credentials.FromEnv {
		return fmt.Errorf("credentials of a Secret are not translated")
	}
	settings, err := config.LoadDefaultConfig(ctx, append(checksums(),
		config.WithRetryer(func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 5) }),
		config.WithRegion(chosen.Region))...)
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.UsePathStyle = true
		options.EndpointOptions.DisableHTTPS = chosen.DisableSSL
		global, _ := regexp.MatchString("^(https://)?s3.amazonaws.com", strings.ToLower(chosen.Endpoint))
		if !global && chosen.Endpoint != "" {
			options.BaseEndpoint = aws.String("https://" + chosen.Endpoint)
		}
	})
	name, prefix, _ := strings.Cut(strings.TrimPrefix(root, "s3://"), "/")
	opened, err := s3blob.OpenBucketV2(ctx, client, name, nil)
	if err != nil {
		return err
	}
	bucket := blob.PrefixedBucket(opened, prefix+"/")
	defer bucket.Close()
	switch command {
	case "put":
		content, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		return bucket.WriteAll(ctx, key, content, nil)
	case "get":
		return show(ctx, bucket, key)
	}
	every := bucket.List(&blob.ListOptions{Prefix: key})
	for {
		object, err := every.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Println(object.Key)
	}
}

// backend/src/apiserver/client_manager/client_manager.go, initBlobObjectStore: its own client, in the
// style of paths, and HeadBucket first.
func apiServer(ctx context.Context) (*blob.Bucket, error) {
	settings, err := config.LoadDefaultConfig(ctx, append(checksums(), config.WithRegion(variable("REGION")))...)
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.BaseEndpoint = aws.String("https://" + variable("HOST"))
		options.UsePathStyle = true
	})
	name := variable("BUCKETNAME")
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err != nil {
		return nil, err
	}
	return s3blob.OpenBucketV2(ctx, client, name, nil)
}

func checksums() []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
}

func variable(name string) string {
	return os.Getenv("OBJECTSTORECONFIG_" + name)
}

func show(ctx context.Context, bucket *blob.Bucket, key string) error {
	content, err := bucket.ReadAll(ctx, key)
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	return err
}

// backend/src/apiserver/client/sql.go, CreateMySQLConfig.
func database(ctx context.Context) error {
	parameters := map[string]string{"charset": "utf8", "parseTime": "True", "loc": "Local"}
	more := os.Getenv("DBCONFIG_MYSQLCONFIG_EXTRAPARAMS")
	if err := json.Unmarshal([]byte(more), &parameters); err != nil {
		return err
	}
	settings := mysql.Config{
		User:                 os.Getenv("DBCONFIG_MYSQLCONFIG_USER"),
		Passwd:               os.Getenv("DBCONFIG_MYSQLCONFIG_PASSWORD"),
		Net:                  "tcp",
		Addr:                 os.Getenv("DBCONFIG_MYSQLCONFIG_HOST") + ":" + os.Getenv("DBCONFIG_MYSQLCONFIG_PORT"),
		Params:               parameters,
		DBName:               os.Getenv("DBCONFIG_MYSQLCONFIG_DBNAME"),
		AllowNativePasswords: true,
	}
	connection, err := sql.Open("mysql", settings.FormatDSN())
	if err != nil {
		return err
	}
	defer connection.Close()
	var name, version string
	row := connection.QueryRowContext(ctx, "SHOW STATUS LIKE 'Ssl_version'")
	if err := row.Scan(&name, &version); err != nil {
		return err
	}
	fmt.Println(version)
	return nil
}

// backend/src/apiserver/main.go, initConfig.
func settingsOf(folder string, keys []string) error {
	viper.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	viper.AutomaticEnv()
	viper.AllowEmptyEnv(true)
	viper.SetConfigName("config")
	viper.AddConfigPath(folder)
	if err := viper.ReadInConfig(); err != nil {
		return err
	}
	values := map[string]any{}
	for _, key := range keys {
		values[key] = nil
		if viper.IsSet(key) {
			values[key] = viper.Get(key)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(values)
}
